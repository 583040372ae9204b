"""From a network's last values to probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["activate"]


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
