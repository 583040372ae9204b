"""Chooses the order in which a model takes its inputs: the one its first operators want."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir import orders
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from edgeopt.ir.orders import Order

__all__ = ["input_order"]

_FARTHEST = 8
"""How many operators in a row are looked through."""


def input_order(node: torch.fx.Node) -> Order:
    """Returns the order in which the input ``node`` shall be given."""
    rank = node.meta["val"].ndim
    return _wanted(node, rank, _FARTHEST) or orders.identity(rank)


def _wanted(node: torch.fx.Node, rank: int, left: int) -> Order | None:
    """Returns the order that the nearest user insists on, None where none does."""
    if left == 0:
        return None
    for user in node.users:
        order = _wanted_by(user, node, rank, left)
        if order is not None:
            return order
    return None


def _wanted_by(user: torch.fx.Node, node: torch.fx.Node, rank: int, left: int) -> Order | None:
    output = user.meta.get("val")
    if not isinstance(output, torch.Tensor) or output.ndim != rank:
        return None
    layout = traits_of(user).layout
    if layout == "channels-last" and user.args[0] is node:
        return orders.channels_last(rank)
    if layout == "any":
        return _wanted(user, rank, left - 1)
    if layout == "permutes":
        axes = [int(a) % rank for a in user.args[1]]  # type: ignore[union-attr,arg-type]
        order = _wanted(user, rank, left - 1)
        return tuple(axes[d] for d in order) if order is not None else None
    return None
