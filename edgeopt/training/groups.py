"""Which parameters are decayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["decayed_groups"]


def decayed_groups(model: torch.nn.Module) -> list[dict[str, Any]]:
    """Returns two parameter groups: weights, and what is not decayed (biases, norms)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1]},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
