"""Chooses the order in which a model takes its inputs: the one its first operators want."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir import ops, orders

if TYPE_CHECKING:
    from edgeopt.ir.orders import Order

__all__ = ["input_order"]

aten = torch.ops.aten

_CHANNELS_LAST = (
    *ops.CONVOLUTIONS,
    aten.max_pool2d.default,
    aten.avg_pool2d.default,
    aten.upsample_bilinear2d.vec,
    aten.upsample_nearest2d.vec,
)
_ANY_ORDER = (
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.relu.default,
    aten.clamp.default,
    aten.sigmoid.default,
    aten.tanh.default,
    aten.cat.default,
    aten.slice.Tensor,
    aten.constant_pad_nd.default,
    aten.alias.default,
)
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
        found = _wanted_by(user, node, rank, left)
        if found is not None:
            return found
    return None


def _wanted_by(user: torch.fx.Node, node: torch.fx.Node, rank: int, left: int) -> Order | None:
    made = user.meta.get("val")
    if not isinstance(made, torch.Tensor) or made.ndim != rank:
        return None
    if user.target in _CHANNELS_LAST and user.args[0] is node:
        return orders.channels_last(rank)
    if user.target in _ANY_ORDER:
        return _wanted(user, rank, left - 1)
    if user.target is aten.permute.default:
        axes = [int(a) % rank for a in user.args[1]]  # type: ignore[union-attr,arg-type]
        found = _wanted(user, rank, left - 1)
        return tuple(axes[d] for d in found) if found is not None else None
    return None
