"""What a user may choose about training; distillation and quantization-aware training share it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Progress

__all__ = ["OPTIMIZERS", "SCHEDULES", "TrainingOptions", "make_options"]

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "linear", "constant")
MIXED = ("no", "bf16")


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: How often the data is gone through.
        learning_rate: The highest one of the schedule.
        optimizer: ``adamw``, ``sgd`` (momentum 0.9), or a function from parameter groups to an
            optimizer of torch.
        weight_decay: Of the two named optimizers; biases and norms are left out.
        schedule: ``cosine``, ``linear`` (both fall to 0), ``constant``, or a function from the share
            of training done (0 to 1) to a factor of the learning rate.
        warmup: Share of training in which the learning rate rises from 0.
        clip_norm: Longest gradient; None for any.
        evaluate: ``evaluate(model) -> float``, higher is better, asked after each epoch.
        patience: Epochs without a better score after which training stops; None for never.
        checkpoint: Folder of checkpoints; None for none.
        checkpoint_every: Steps between checkpoints; 0 for one at the end of each epoch only.
        resume: Whether to go on from the checkpoint, where there is one.
        mixed_precision: ``no``, or ``bf16``: convolutions and matrix products compute in bfloat16,
            weights and losses stay float32. Faster where the processor computes in it.
        seed: Of data order, dropout and new layers.
        progress: Called with (stage, done, total).
    """

    epochs: int
    learning_rate: float = 1e-3
    optimizer: str | Callable[[Any], Any] = "adamw"
    weight_decay: float = 0.01
    schedule: str | Callable[[float], float] = "cosine"
    warmup: float = 0.0
    clip_norm: float | None = 1.0
    evaluate: Callable[[Any], float] | None = None
    patience: int | None = None
    checkpoint: Path | str | None = None
    checkpoint_every: int = 0
    resume: bool = True
    mixed_precision: str = "no"
    seed: int = 0
    progress: Progress | None = None

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs", "must be 1 or more", self.epochs)
        positive = math.isfinite(self.learning_rate) and self.learning_rate > 0
        _require(positive, "learning_rate", "must be finite and above 0", self.learning_rate)
        _require(0 <= self.warmup < 1, "warmup", "is a share from 0 to below 1", self.warmup)
        _require(
            self.checkpoint_every >= 0,
            "checkpoint_every",
            "is a number of steps",
            self.checkpoint_every,
        )
        _require_known("optimizer", self.optimizer, OPTIMIZERS)
        _require_known("schedule", self.schedule, SCHEDULES)
        _require_known("mixed_precision", self.mixed_precision, MIXED)
        if self.patience is not None:
            _require(self.patience >= 1, "patience", "must be 1 or more", self.patience)
            _require(self.evaluate is not None, "patience", "needs evaluate", self.patience)

    @property
    def folder(self) -> Path | None:
        """The folder of checkpoints as a path."""
        return None if self.checkpoint is None else Path(self.checkpoint)

    def factor(self, share: float) -> float:
        """Returns what the learning rate is multiplied by where ``share`` of training is done."""
        if not isinstance(self.schedule, str):
            return float(self.schedule(share))
        if share < self.warmup:
            return share / self.warmup
        left = 1 - (share - self.warmup) / (1 - self.warmup)
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (1 - left)))
        return left if self.schedule == "linear" else 1.0


def make_options(epochs: int, settings: dict[str, Any]) -> TrainingOptions:
    """Returns the options of ``settings``, which name fields of `TrainingOptions`.

    Raises:
        InputError: There is no such field; the nearest is suggested.
    """
    known = [f.name for f in fields(TrainingOptions)]
    for name in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise InputError(
                f"there is no {name!r}",
                where="training options",
                hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}",
            )
    return TrainingOptions(epochs=epochs, **settings)


def _require(holds: bool, name: str, must: str, got: object) -> None:  # noqa: FBT001 (a condition)
    if not holds:
        raise InputError(f"{must}, not {got!r}", where=name)


def _require_known(name: str, value: object, known: tuple[str, ...]) -> None:
    if isinstance(value, str) and value not in known:
        raise InputError(f"there is no {value!r}", where=name, hint=f"known: {', '.join(known)}")
