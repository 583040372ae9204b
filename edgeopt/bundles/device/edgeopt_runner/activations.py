"""From a network's last values to probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bundle import WRONG, Stop

__all__ = ["activate", "as_classes"]

_CLASSES_END = np.float32(2**31)


def activate(values: Any, name: str) -> Any:
    """Returns probabilities: ``softmax`` over the last axis, ``sigmoid``, or the values themselves."""
    values = values.astype(np.float32)
    if name == "sigmoid":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-values))
    if name == "softmax":
        raised = np.exp(values - values.max(-1, keepdims=True))
        return raised / raised.sum(-1, keepdims=True)
    return values


def as_classes(values: Any) -> Any:
    """Returns numbers of classes, int64, that a network gave as its own numbers."""
    if not (np.abs(values.astype(np.float32)) < _CLASSES_END).all():
        what = "classes are NaN or too large: they name nothing"
        raise Stop(WRONG, what, "look at the input's values")
    return values.astype(np.int64)
