"""What a batch is: inputs, and what the loss compares with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["decayed_groups", "split_batch"]

PAIR = 2
LABELS = ("labels", "label", "target", "targets")


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Returns (inputs, target) of a batch.

    A pair is both. A dict is the inputs by name, and its ``labels`` (or ``label``, ``target``) the
    target, or None. A tuple or list of other length, and a tensor, are inputs without a target.
    """
    if isinstance(batch, Mapping):
        return batch, next((batch[k] for k in LABELS if k in batch), None)
    if isinstance(batch, (tuple, list)) and len(batch) == PAIR:
        return batch[0], batch[1]
    return batch, None


def decayed_groups(model: torch.nn.Module) -> list[dict[str, Any]]:
    """Returns two parameter groups: weights, and what is not decayed (biases, norms)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1]},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
