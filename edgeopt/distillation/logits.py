"""Finds the logits in what a student and a teacher return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from edgeopt.errors import InputError

__all__ = ["class_axis", "find_logits"]

MAPS = 4
"""Dimensions of scores over a picture: (batch, classes, height, width)."""


def find_logits(output: Any, whose: str) -> torch.Tensor:
    """Returns the scores of the classes in ``output``.

    Raises:
        InputError: There are none to be found.
    """
    if isinstance(output, torch.Tensor):
        return output
    value = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if value is None and isinstance(output, (tuple, list)) and output:
        value = output[0]
    if isinstance(value, torch.Tensor):
        return value
    raise InputError(
        f"it returns {type(output).__name__}, in which no logits are found",
        where=whose,
        hint="return a tensor, a tuple with the logits first, or something with .logits; "
        "or pass logits_weight=0",
    )


def class_axis(logits: torch.Tensor) -> int:
    """Returns the axis that counts classes: 1 for scores over a picture, else the last."""
    return 1 if logits.ndim == MAPS else -1
