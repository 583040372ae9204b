"""Reading elements by index, parts of a split, and what is made of indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.eye.default, aten.eye.m)
def eye(
    rows: int, columns: int | None = None, *, dtype: torch.dtype | None = None, **_: Any
) -> Tensor:
    """Returns ones on the diagonal; torch's own rule counts in types that have no kernels."""
    place = torch.arange(rows if columns is None else columns).unsqueeze(0)
    ones = torch.arange(rows).unsqueeze(1) == place
    return ones.to(torch.get_default_dtype() if dtype is None else dtype)


@RULES(aten.one_hot.default)
def one_hot(x: Tensor, num_classes: int = -1) -> Tensor:
    """Returns 1 where a class is, 0 elsewhere."""
    if num_classes < 0:
        raise NotImplementedError(
            "one_hot without num_classes has a shape that depends on values: pass num_classes"
        )
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


@RULES(aten.gather.default)
def gather(x: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """Returns elements by their place along one axis: rows of the flat tensor."""
    del sparse_grad
    if not x.ndim:
        return x.expand(index.shape)
    dim, place = dim % x.ndim, None
    for axis in range(x.ndim):
        along = index if axis == dim else _counted(index, axis)
        place = along if place is None else place * x.shape[axis] + along
    assert place is not None  # noqa: S101 (x has axes)
    return x.reshape(-1).index_select(0, place.reshape(-1)).reshape(index.shape)


def _counted(index: Tensor, axis: int) -> Tensor:
    shape = [1] * index.ndim
    shape[axis] = index.shape[axis]
    return torch.arange(index.shape[axis]).reshape(shape)


@RULES(aten.index.Tensor)
def index_tensors(x: Tensor, indices: list[Any]) -> Tensor:
    """Returns elements by several indices: rows of the tensor in which the indexed axes are one."""
    axes = [at for at, index in enumerate(indices) if index is not None]
    if any(indices[at].dtype is torch.bool for at in axes):
        raise NotImplementedError("a mask chooses how many values there are")
    front = x.permute([*axes, *(d for d in range(x.ndim) if d not in axes)])
    place: Any = 0
    for at in axes:
        index = torch.where(indices[at] < 0, indices[at] + x.shape[at], indices[at])
        place = place * x.shape[at] + index
    rest = list(front.shape[len(axes) :])
    rows = front.reshape(-1, *rest).index_select(0, place.reshape(-1))
    result = rows.reshape(*place.shape, *rest)
    if axes != list(range(axes[0], axes[-1] + 1)):
        return result
    order = list(range(place.ndim, place.ndim + axes[0])) + list(range(place.ndim))
    return result.permute([*order, *range(len(order), result.ndim)])


@RULES(aten.bucketize.Tensor)
def bucketize(
    x: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Returns between which boundaries each value lies: how many are below it."""
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)


@RULES(aten.searchsorted.Tensor)
def searchsorted(
    sequence: Tensor,
    x: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Returns where each value would be put into a sorted sequence: how many of it are below."""
    ordered = sequence if sorter is None else sequence.gather(-1, sorter)
    ordered = ordered if ordered.ndim == 1 else ordered.unsqueeze(-2)
    values = x.unsqueeze(-1)
    below = ordered <= values if right or side == "right" else ordered < values
    count = below.sum(-1)
    return count.to(torch.int32) if out_int32 else count


@RULES(aten.diagonal.default)
def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Returns a diagonal: every so many elements of the rows in one line."""
    first, second = dim1 % x.ndim, dim2 % x.ndim
    others = [d for d in range(x.ndim) if d not in (first, second)]
    matrix = x.permute([*others, first, second])
    rows, columns = matrix.shape[-2:]
    row, column = max(-offset, 0), max(offset, 0)
    count = max(min(rows - row, columns - column), 0)
    flat = matrix.reshape(*matrix.shape[:-2], rows * columns)
    begin = row * columns + column
    place = torch.arange(count) * (columns + 1) + begin
    return flat.index_select(flat.ndim - 1, place)


@RULES(aten.scatter_add.default)
def scatter_add(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Returns ``x`` with values added at places along an axis."""
    source = source[tuple(slice(0, n) for n in index.shape)]
    hits = _hits(x, dim, index)
    moved = source.movedim(dim, -1).unsqueeze(-1)
    if x.dtype is torch.bool:
        reached = (moved & hits).any(-2).movedim(-1, dim)
        return _into(x, dim, reached, lambda part: part | reached)
    total = (moved * hits.to(x.dtype)).sum(-2).to(x.dtype).movedim(-1, dim)
    return _into(x, dim, total, lambda part: part + total)


@RULES(aten.scatter.src)
def scatter(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Returns ``x`` with values at places along an axis; of several at one, the last."""
    source = source[tuple(slice(0, n) for n in index.shape)]
    hits = _hits(x, dim, index)
    count = index.shape[dim]
    last = torch.where(hits, torch.arange(1, count + 1).unsqueeze(-1), 0).amax(-2)
    values = source.movedim(dim, -1).gather(-1, (last - 1).clamp(min=0)).movedim(-1, dim)
    written = (last > 0).movedim(-1, dim)
    return _into(x, dim, values, lambda part: torch.where(written, values, part))


@RULES(aten.scatter.value)
def scatter_value(x: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Returns ``x`` with one number at places along an axis."""
    written = _hits(x, dim, index).any(-2).movedim(-1, dim)
    return _into(x, dim, written, lambda part: torch.where(written, value, part))


def _hits(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """Returns which index names which place: the last axes are (indices, places)."""
    return index.movedim(dim, -1).unsqueeze(-1) == torch.arange(x.shape[dim])


def _into(x: Tensor, dim: int, like: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns ``x`` changed where the index has rows: along the other axes it may be shorter."""
    part, outer = x, []
    for axis in range(x.ndim):
        if axis != dim % x.ndim and like.shape[axis] != x.shape[axis]:
            outer.append((axis, part))
            part = part.narrow(axis, 0, like.shape[axis])
    part = change(part)
    for axis, whole in reversed(outer):
        size = part.shape[axis]
        part = torch.cat([part, whole.narrow(axis, size, whole.shape[axis] - size)], axis)
    return part
