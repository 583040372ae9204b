"""What the steps of a recipe need beside the recipe and the training data."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeopt.options.base import Options
from edgeopt.options.kinds import Folder, Function, Module

__all__ = ["RecipeTraining"]


class RecipeTraining(Options, frozen=True):
    """How the steps of a recipe are trained.

    Attributes:
        loss: Loss of the task, of ``(output, target)``. Without one students learn from the teacher alone, or from
            the loss that a Hugging Face model returns.
        teacher: What students learn from. The model as it was given where None.
        work: Folder in which the result of each step is kept. A run that was killed goes on from
            there, and repeats no finished step.
        resume: Whether to go on where ``work`` holds a run; otherwise it is begun anew there.
        overrides: ``{"prune.macs": 0.4, "*.epochs": 1}``: options of steps that are different.
    """

    loss: Function | None = None
    teacher: Module | None = None
    work: Folder | None = None
    resume: bool = True
    overrides: dict[str, Any] = msgspec.field(default_factory=dict)
