"""The training loop: accelerate's devices, a schedule, early stop, checkpoints that resume bit for bit."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.boundary import convert
from edgeopt.data.batches import require_reiterable
from edgeopt.errors import InputError, PluginError, TrainingError
from edgeopt.installation import install_command
from edgeopt.progress import progress_to, report_progress
from edgeopt.training.checkpoint import (
    Checkpoint,
    hold_folder,
    load_optimizer,
    optimizer_state,
    read_checkpoint,
    unusable,
    write_checkpoint,
)
from edgeopt.training.history import Epoch, History
from edgeopt.training.randomness import random_state, restore_random_state, seed_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edgeopt.options import TrainingOptions

__all__ = ["Job", "fit", "make_accelerator"]

Losses = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Job:
    """What is trained, and how one batch becomes losses.

    Attributes:
        kind: ``distill`` or ``train_quantized``; names the stage of the progress.
        model: What is trained, in place.
        losses: From (model, batch) to weighted losses by name; their sum is minimized.
        groups: Parameter groups for the optimizer; each may have a ``factor`` of the learning rate.
        identity: What must be the same for a checkpoint to fit, values that JSON holds.
        before_step: Called with the share of training done before each step.
        evaluated: From the model to what the user's ``evaluate`` is given.
        start: From the model to what it is given before the first epoch, so that training is only
            taken where it brings something; None where the start is not worth keeping.
    """

    kind: str
    model: torch.nn.Module
    losses: Callable[[Any, Any], Losses]
    groups: Sequence[dict[str, Any]]
    identity: dict[str, Any]
    before_step: Callable[[float], None] = lambda _: None
    evaluated: Callable[[Any], Any] = lambda model: model
    start: Callable[[Any], Any] | None = None


def make_accelerator() -> Any:
    """Returns accelerate's view of the devices that this run has.

    Raises:
        PluginError: accelerate is not installed.
    """
    try:
        from accelerate import Accelerator  # noqa: PLC0415 (an extra)
    except ImportError as error:
        raise PluginError(
            "training needs accelerate, which is not installed",
            hint=install_command("train"),
        ) from error
    return Accelerator()


def fit(job: Job, data: Any, options: TrainingOptions, accelerator: Any = None) -> History:
    """Returns the curves after training ``job.model`` in place; it holds the best epoch's weights.

    Args:
        job: What to train.
        data: Batches: a DataLoader, or anything that can be iterated over once an epoch.
        options: How to train.
        accelerator: Of `make_accelerator`.

    Raises:
        InputError: The data cannot be used, the checkpoint is of another run, or another run is
            at work in its folder.
        TrainingError: A loss or a gradient is not finite. The last good checkpoint is kept.
    """
    accelerator = accelerator or make_accelerator()
    run = _Run(job, data, options, accelerator)
    folder = options.folder if accelerator.is_main_process else None
    with progress_to(options.progress), hold_folder(folder) if folder else nullcontext():
        return run.fit()


class _Run:
    """One run under way; its fields are what a checkpoint holds."""

    def __init__(self, job: Job, data: Any, options: TrainingOptions, accelerator: Any) -> None:
        self.job, self.options, self.accelerator = job, options, accelerator
        self.optimizer = accelerator.prepare(_optimizer(job.groups, options))
        self.rates = [g["lr"] for g in self.optimizer.param_groups]
        self.model = accelerator.prepare(job.model)
        self.loader = _prepared(data, options, accelerator)
        self.epoch = self.done = self.step = 0
        self.sums: dict[str, float] = {}
        self.history = History()
        self.best: dict[str, torch.Tensor] | None = None
        self.random: tuple[Any, Any] | None = None

    def fit(self) -> History:
        self._resume()
        self._score_start()
        self.job.model.train()
        while self.epoch < self.options.epochs and not self.history.stopped_early:
            self._epoch()
        if self.best is not None:
            self.job.model.load_state_dict(self.best)
        self.job.model.eval()
        return self.history

    def _score_start(self) -> None:
        """Scores what training starts from; that is kept as long as no epoch is better."""
        if self.job.start is None or self.step or self.options.evaluate is None:
            return
        self.history = History(start_score=self._score(self.job.start))
        self.best = self._weights()

    def _weights(self) -> dict[str, torch.Tensor]:
        state = self.job.model.state_dict()
        return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def _epoch(self) -> None:
        seed_epoch(self.options.seed, self.epoch, self.accelerator.process_index, self.loader)
        count = _length(self.loader)
        index = -1
        for index, batch in enumerate(self.loader):
            if index < self.done:
                continue
            self._restore_random()
            self._step(batch, (self.epoch + (index / count if count else 0)) / self.options.epochs)
            self.done = index + 1
            self._report(self.done / count if count else 0)
            every = self.options.checkpoint_every
            if every and self.step % every == 0:
                self._save()
        if index < 0:
            raise InputError("no batch in it", where="data", hint="an iterator was read before?")
        self._restore_random()
        self._close_epoch()

    def _step(self, batch: Any, share: float) -> None:
        self.job.before_step(share)
        factor = self.options.factor(share)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        batch = _moved(batch, self.accelerator)
        with self._precision():
            losses = self.job.losses(self.model, batch)
        total = torch.stack([v.float() for v in losses.values()]).sum()
        self._require_finite({**losses, "total": total})
        self.optimizer.zero_grad()
        self.accelerator.backward(total)
        norm = self.accelerator.clip_grad_norm_(
            self.job.model.parameters(), self.options.clip_norm or math.inf
        )
        self._require_finite({"gradient": norm})
        self.optimizer.step()
        self.step += 1
        for name, value in {**losses, "total": total}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())

    def _precision(self) -> torch.autocast:
        mixed = self.options.mixed_precision == "bf16"
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=mixed)

    def _require_finite(self, values: dict[str, Any]) -> None:
        bad = [n for n, v in values.items() if v is not None and not bool(torch.isfinite(v).all())]
        if self.accelerator.num_processes > 1:
            flag = torch.tensor(float(bool(bad)), device=self.accelerator.device)
            bad = bad or (["another process"] if self.accelerator.reduce(flag) > 0 else [])
        if not bad:
            return
        folder = self.options.folder
        path = folder if folder is not None and (folder / "latest.json").is_file() else None
        raise TrainingError(
            f"{bad[0]} is not finite in epoch {self.epoch}, batch {self.done} (from 0)",
            where=self.job.kind,
            hint="check the data, or take a lower learning_rate; "
            + (f"the last good checkpoint is in {path}" if path else "no checkpoint was written"),
            checkpoint=path,
            history=self.history,
        )

    def _close_epoch(self) -> None:
        steps = max(1, self.done)
        rate = float(self.optimizer.param_groups[0]["lr"])
        losses = {n: self._mean(v / steps) for n, v in self.sums.items()}
        self.job.model.eval()
        score = self._score(self.job.evaluated)
        self.job.model.train()
        epochs = (*self.history.epochs, Epoch(self.epoch, losses, rate, score))
        best, before = self.history.best_epoch, self.history.best_score
        if score is not None and (before is None or score > before):
            best = self.epoch
            self.best = self._weights()
        waited = self.epoch - (best if best is not None else -1)
        stop = bool(self.options.patience) and waited >= (self.options.patience or 0)
        self.history = History(epochs, best, stop, self.history.start_score)
        self.epoch, self.done, self.sums = self.epoch + 1, 0, {}
        self._save()

    def _mean(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        tensor = torch.tensor(value, device=self.accelerator.device)
        return float(self.accelerator.reduce(tensor, reduction="mean"))

    def _score(self, evaluated: Callable[[Any], Any]) -> float | None:
        """Asks the user's metric; what it draws at random changes nothing in training."""
        if self.options.evaluate is None:
            return None
        before = random_state()
        with torch.no_grad():
            score = float(self.options.evaluate(evaluated(self.job.model)))
        restore_random_state(*before)
        if not math.isfinite(score):
            raise InputError(
                f"it returned {score}", where="evaluate", hint="return a finite number"
            )
        return self._mean(score)

    def _report(self, part: float) -> None:
        report_progress(self.job.kind, self.epoch + part, self.options.epochs)

    def _save(self) -> None:
        folder = self.options.folder
        if folder is None:
            return
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            random, plain = random_state()
            tensors, numbers = optimizer_state(self.optimizer)
            parts = {"model": dict(_untied(self.job.model)), "optimizer": tensors, "random": random}
            if self.best is not None:
                parts["best"] = self.best
            state = {
                "identity": self.job.identity,
                "epoch": self.epoch,
                "done": self.done,
                "step": self.step,
                "sums": self.sums,
                "random": plain,
                "optimizer": numbers,
                "history": self.history.to_dict(),
            }
            write_checkpoint(folder, f"{self.step:09d}-{self.epoch}", Checkpoint(state, parts))
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        folder = self.options.folder
        if folder is None or not self.options.resume:
            return
        checkpoint = read_checkpoint(folder)
        if checkpoint is None:
            return
        try:
            self._take_up(checkpoint, str(folder))
        except InputError:
            raise
        except Exception as error:  # torch's own, where facts do not fit the model or each other
            raise unusable(folder, f"cannot be taken up: {error}"[:500]) from error

    def _take_up(self, held: Checkpoint, where: str) -> None:
        state, tensors = held.state, held.tensors
        _require_same(state["identity"], self.job.identity, where)
        self.job.model.load_state_dict(tensors["model"])
        load_optimizer(self.optimizer, tensors.get("optimizer", {}), state["optimizer"])
        self.epoch, self.done, self.step = state["epoch"], state["done"], state["step"]
        self.sums = dict(state["sums"])
        self.history = convert(state["history"], History, where=where)
        self.best = tensors.get("best")
        if self.done:
            self.random = (tensors["random"], state["random"])

    def _restore_random(self) -> None:
        """Takes up the randomness where the checkpoint left it, once its batches are skipped."""
        if self.random is not None:
            restore_random_state(*self.random)
            self.random = None


def _optimizer(groups: Sequence[dict[str, Any]], options: TrainingOptions) -> Any:
    param_groups = [
        {
            "params": list(group["params"]),
            "lr": options.learning_rate * group.get("factor", 1.0),
            "weight_decay": group.get("weight_decay", options.weight_decay),
        }
        for group in groups
        if group["params"]
    ]
    if not param_groups:
        raise InputError("it has no parameters that could be trained", where="model")
    if not isinstance(options.optimizer, str):
        return options.optimizer(param_groups)
    if options.optimizer == "sgd":
        return torch.optim.SGD(param_groups, lr=options.learning_rate, momentum=0.9)
    return torch.optim.AdamW(param_groups, lr=options.learning_rate)


def _prepared(data: Any, options: TrainingOptions, accelerator: Any) -> Any:
    if isinstance(data, torch.utils.data.DataLoader):
        return accelerator.prepare(data)
    if options.epochs > 1:
        require_reiterable(data, "data", instead=", or epochs=1")
    if accelerator.num_processes > 1:
        raise InputError(
            "many processes can share a DataLoader only", where="data", hint="pass a DataLoader"
        )
    return data


def _length(loader: Any) -> int:
    try:
        return len(loader)
    except TypeError:
        return 0


def _moved(batch: Any, accelerator: Any) -> Any:
    from accelerate.utils import send_to_device  # noqa: PLC0415 (an extra)

    return send_to_device(batch, accelerator.device)


def _untied(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yields the model's state; a weight that has two names is written under both."""
    for name, tensor in model.state_dict().items():
        yield name, tensor.detach()


def _require_same(held: dict[str, Any], wanted: dict[str, Any], where: str) -> None:
    keys = sorted({*held, *wanted})
    other = next((k for k in keys if held.get(k) != wanted.get(k)), None)
    if other is not None:
        raise InputError(
            f"the checkpoint is of another run: {other} is {held.get(other)!r} there, "
            f"{wanted.get(other)!r} here",
            where=where,
            hint="pass the settings of that run, another folder, or resume=False to begin anew",
        )
