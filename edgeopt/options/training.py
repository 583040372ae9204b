"""What a user may choose about training; distillation and quantization-aware training share it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from edgeopt.options.base import Options
from edgeopt.options.kinds import (
    Callback,
    Count,
    Folder,
    NonNegative,
    Optimizer,
    Positive,
    Schedule,
    Score,
    Whole,
)
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Training", "TrainingOptions"]


class Training(Options, frozen=True):
    """How to train: what a recipe can say of it.

    Attributes:
        epochs: How often the data is gone through.
        learning_rate: The highest one of the schedule.
        optimizer: ``adamw``, ``sgd`` (momentum 0.9), or a function from parameter groups to an
            optimizer of torch.
        weight_decay: Of the two named optimizers; biases and norms are left out.
        schedule: ``cosine``, ``linear`` (both fall to 0), ``constant``, or a function from the share
            of training done (0 to 1) to a factor of the learning rate.
        warmup: Share of training in which the learning rate rises from 0.
        clip_norm: Longest gradient; 0 or None for any.
        patience: Epochs without a better score after which training stops; 0 or None for never. It
            counts where there is ``evaluate``.
        mixed_precision: ``no``, or ``bf16``: convolutions and matrix products compute in bfloat16,
            weights and losses stay float32. Faster where the processor computes in it.
        seed: Of data order, dropout and new layers.
    """

    epochs: Count
    learning_rate: Positive = 1e-3
    optimizer: Optimizer = "adamw"
    weight_decay: NonNegative = 0.01
    schedule: Schedule = "cosine"
    warmup: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.0
    clip_norm: NonNegative | None = 1.0
    patience: Whole | None = None
    mixed_precision: Literal["no", "bf16"] = "no"
    seed: Whole = 0

    def factor(self, share: float) -> float:
        """Returns what the learning rate is multiplied by where ``share`` of training is done."""
        if not isinstance(self.schedule, str):
            return float(self.schedule(share))
        if share < self.warmup:
            return share / self.warmup
        rest = 1 - (share - self.warmup) / (1 - self.warmup)
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (1 - rest)))
        return rest if self.schedule == "linear" else 1.0


class TrainingOptions(Training, frozen=True):
    """How to train, with what a run in Python has beside.

    Attributes:
        evaluate: ``evaluate(model) -> float``, higher is better, asked after each epoch.
        checkpoint: Folder of checkpoints; None for none.
        checkpoint_every: Steps between checkpoints; 0 for one at the end of each epoch only.
        resume: Whether to go on from the checkpoint, where there is one.
        progress: Called with (stage, done, total).
    """

    evaluate: Score | None = None
    checkpoint: Folder | None = None
    checkpoint_every: Whole = 0
    resume: bool = True
    progress: Callback | None = None

    def conflicts(self) -> Iterable[Problem]:
        """Returns that patience has nothing to wait for."""
        if self.patience and self.evaluate is None:
            yield Problem("patience", "needs evaluate: it waits for a better score")

    @property
    def folder(self) -> Path | None:
        """The folder of checkpoints as a path."""
        return None if self.checkpoint is None else Path(self.checkpoint)
