"""Trains a student on what its teacher says."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.data.batches import require_reiterable
from edgeopt.distillation.pair import Pair
from edgeopt.errors import InputError
from edgeopt.ir.program import Step
from edgeopt.ir.record import record_step
from edgeopt.training import History, Job, TrainingOptions, fit, make_accelerator
from edgeopt.training.groups import decayed_groups
from edgeopt.training.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgeopt.options import Distillation

__all__ = ["Distilled", "distill_student"]


@dataclass(frozen=True)
class Distilled:
    """What came of a distillation.

    Attributes:
        student: The trained copy, in eval mode; the student that was passed in is as it was.
        history: The curves; ``history.curves()`` as data, ``history.svg()`` as a picture.
    """

    student: torch.nn.Module
    history: History


def distill_student(
    student: torch.nn.Module,
    teacher: torch.nn.Module,
    data: Iterable[Any],
    options: Distillation,
    training: TrainingOptions,
    task_loss: Callable[[Any, Any], torch.Tensor] | None = None,
) -> Distilled:
    """Returns a copy of ``student``, trained on what ``teacher`` says about ``data``.

    Raises:
        InputError: The two do not fit together, the data cannot be used, or the checkpoint is of
            another run.
        TrainingError: A loss is not finite; the last good checkpoint is kept.
        PluginError: accelerate is not installed.
    """
    for name, model in (("student", student), ("teacher", teacher)):
        if not isinstance(model, torch.nn.Module):
            raise InputError(f"is {type(model).__name__}, not a torch.nn.Module", where=name)
    accelerator = make_accelerator()
    before = random_state()
    was_training = teacher.training
    trained = copy.deepcopy(student).to(accelerator.device)
    torch.manual_seed(training.seed)  # new projections
    there = teacher.eval().to(accelerator.device)
    pair = Pair(trained, there, options, _first(data, accelerator), task_loss)
    try:
        job = Job(
            kind="distill",
            model=pair.learner,
            losses=pair.losses,
            groups=decayed_groups(pair.learner),
            identity=_identity(pair, options),
            evaluated=lambda learner: learner.student,
        )
        history = fit(job, data, training, accelerator)
    finally:
        pair.close()
        teacher.train(was_training)
        restore_random_state(*before)
    record_step(trained, _step(options, history))
    return Distilled(trained.eval(), history)


def _first(data: Iterable[Any], accelerator: Any) -> Any:
    from accelerate.utils import send_to_device  # noqa: PLC0415 (an extra)

    require_reiterable(data, "data")
    for batch in data:
        return send_to_device(batch, accelerator.device)
    raise InputError("no batch in it", where="data")


def _identity(pair: Pair, options: Distillation) -> dict[str, Any]:
    shapes = [f"{n}{tuple(p.shape)}" for n, p in pair.learner.state_dict().items()]
    return {
        "kind": "distill",
        "seed": options.seed,
        "student": hashlib.sha256("\n".join(shapes).encode()).hexdigest()[:16],
        "temperature": options.temperature,
        "weights": [
            options.logits_weight,
            options.features_weight,
            options.attention_weight,
            options.task_weight,
        ],
        "features": dict(options.features),
        "attention": {str(k): str(v) for k, v in options.attention.items()},
    }


def _step(options: Distillation, history: History) -> Step:
    """Returns the entry for the history of the Program that the student becomes."""
    taught = options.logits_weight or options.features or options.attention
    settings = {"epochs": options.epochs, "learning_rate": options.learning_rate}
    if taught:
        settings |= {"temperature": options.temperature, "logits_weight": options.logits_weight}
    curve = history.curves().get("total", [])
    effect = {"loss": [round(v, 6) for v in (*curve[:1], *curve[-1:])]}
    if history.best_score is not None:
        effect["score"] = history.best_score  # type: ignore[assignment]
    return Step("distill" if taught else "finetune", settings, effect)
