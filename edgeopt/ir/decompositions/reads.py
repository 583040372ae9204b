"""Reading elements by index, and parts of a split."""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.one_hot.default)
def one_hot(x: Tensor, num_classes: int = -1) -> Tensor:
    """Returns 1 where a class is, 0 elsewhere."""
    if num_classes < 0:
        raise ValueError("one_hot without num_classes has a shape that depends on values: pass num_classes")
    return (x.unsqueeze(-1) == torch.arange(num_classes)).to(torch.int64)


@RULES(aten.take.default)
def take(x: Tensor, index: Tensor) -> Tensor:
    """Returns elements by their number."""
    flat = x.reshape(-1)
    return flat.index_select(0, index.reshape(-1) % flat.shape[0]).reshape(index.shape)


@RULES(aten.unsafe_split.Tensor)
def unsafe_split(x: Tensor, size: int, dim: int = 0) -> Any:
    """Returns the parts of a split."""
    return aten.split.Tensor(x, size, dim)


@RULES(aten._unsafe_index.Tensor)
def unsafe_index(x: Tensor, indices: Any) -> Tensor:
    """Returns elements by indices that are known to fit."""
    return aten.index.Tensor(x, indices)
