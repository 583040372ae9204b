"""Writes to a part of a tensor, as functions: what was there, beside what is written."""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()
Tensor = torch.Tensor


@RULES(aten.slice_scatter.default)
def slice_scatter(
    x: Tensor,
    source: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """Returns ``x`` with ``source`` in a slice: a concatenation, or a choice where the slice has gaps."""
    size = x.shape[dim]
    low, high, step = slice(start, end, step).indices(size)
    shape = list(x.shape)
    shape[dim] = len(range(low, high, step))
    source = source.to(x.dtype).expand(shape)
    if shape[dim] == 0:
        return x.clone()
    if step == 1:
        pieces = [x.narrow(dim, 0, low), source, x.narrow(dim, high, size - high)]
        return torch.cat([piece for piece in pieces if piece.shape[dim]], dim)
    place = torch.arange(size)
    written = (place >= low) & (place < high) & ((place - low) % step == 0)
    origin = ((place - low) // step).clamp(0, shape[dim] - 1)
    return torch.where(_along(written, dim, x.ndim), source.index_select(dim, origin), x)


@RULES(aten.select_scatter.default)
def select_scatter(x: Tensor, source: Tensor, dim: int, index: int) -> Tensor:
    """Returns ``x`` with ``source`` in place of one row."""
    place = index % x.shape[dim]
    return slice_scatter(x, source.unsqueeze(dim), dim, place, place + 1)


@RULES(aten.diagonal_scatter.default)
def diagonal_scatter(
    x: Tensor, source: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """Returns ``x`` with ``source`` on a diagonal."""
    first, second = dim1 % x.ndim, dim2 % x.ndim
    rows, columns = x.shape[first], x.shape[second]
    row, column = torch.arange(rows).unsqueeze(1), torch.arange(columns).unsqueeze(0)
    mask = column - row == offset
    along = torch.arange(rows) if offset >= 0 else torch.arange(rows) + offset
    along = along.clamp(0, source.shape[-1] - 1)
    spread = source.index_select(source.ndim - 1, along).unsqueeze(-1)
    last = [d for d in range(x.ndim) if d not in (first, second)] + [first, second]
    back = [last.index(d) for d in range(x.ndim)]
    return torch.where(mask, spread, x.permute(last)).permute(back)


@RULES(aten.copy.default)
def copy(x: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """Returns ``source`` in the shape and type of ``x``."""
    del non_blocking
    return source.to(x.dtype).expand(x.shape)


@RULES(aten.fill.Tensor)
def fill(x: Tensor, value: Tensor) -> Tensor:
    """Returns ``value`` in the shape and type of ``x``."""
    return value.to(x.dtype).expand(x.shape)


@RULES(aten.index_put.default, aten._unsafe_index_put.default)
def index_put(x: Tensor, indices: list[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """Returns ``x`` with ``values`` at places that indices or a mask name; of several at one, the last."""
    indexed = [at for at, index in enumerate(indices) if index is not None]
    mask = indices[indexed[0]]
    if len(indexed) == 1 and mask.dtype is torch.bool:
        return _masked(x, mask, indexed[0], values, accumulate)
    if any(indices[at].dtype is torch.bool for at in indexed):
        raise NotImplementedError("index_put by a mask beside indices")
    together = indexed == list(range(indexed[0], indexed[-1] + 1))
    order = [*indexed, *(d for d in range(x.ndim) if d not in indexed)]
    front = x.permute(order)
    sizes = front.shape[: len(indexed)]
    place, picked = _flat_index([indices[at] for at in indexed], sizes)
    rest = list(front.shape[len(indexed) :])
    where_written = indexed[0] if together else 0  # where the indexed axes are in what is written
    full = [*x.shape[:where_written], *picked] if together else list(picked)
    full += list(x.shape[indexed[-1] + 1 :]) if together else rest
    spread = values.to(x.dtype).expand(full)
    axes = list(range(where_written, where_written + len(picked)))
    spread = spread.permute([*axes, *(d for d in range(len(full)) if d not in axes)])
    rows = _written(
        front.reshape(-1, *rest), place, spread.reshape(-1, *rest), accumulate=accumulate
    )
    back = [order.index(d) for d in range(x.ndim)]
    return rows.reshape(front.shape).permute(back)


def _masked(x: Tensor, mask: Tensor, axis: int, values: Tensor, accumulate: bool) -> Tensor:
    """Returns ``x`` with one value where ``mask`` is; more have as many as the mask has truths."""
    mask = mask.reshape([1] * axis + list(mask.shape) + [1] * (x.ndim - axis - mask.ndim))
    if values.ndim > x.ndim - axis - mask.ndim + 1 and values.numel() != 1:
        raise NotImplementedError("index_put of values that a mask counts")
    values = values.to(x.dtype)
    values = values.reshape(()) if values.numel() == 1 else values
    return torch.where(mask, x + values if accumulate else values, x)


def _flat_index(indices: list[Tensor], sizes: Any) -> tuple[Tensor, list[int]]:
    """Returns the numbers of rows among those of all indexed axes, and the shape the indices have together."""
    flat: Any = 0
    for index, size in zip(indices, sizes, strict=True):
        flat = flat * size + torch.where(index < 0, index + size, index)
    return flat.reshape(-1), list(flat.shape)


def _written(rows: Tensor, place: Tensor, values: Tensor, *, accumulate: bool) -> Tensor:
    """Returns ``rows`` with ``values`` at the numbers ``place``, or added to what is there."""
    count, written = rows.shape[0], place.shape[0]
    if not written:
        return rows
    hits = torch.arange(count).unsqueeze(1) == place.unsqueeze(0)  # (rows, values)
    if accumulate:
        if rows.dtype is torch.bool:
            share = hits.to(torch.float32) @ values.reshape(written, -1).to(torch.float32)
            return rows | (share.reshape(rows.shape) > 0)
        if not rows.dtype.is_floating_point:  # few runtimes multiply matrices of integers
            chosen = hits.unsqueeze(-1).to(rows.dtype) * values.reshape(1, written, -1)
            return rows + chosen.sum(1).to(rows.dtype).reshape(rows.shape)
        share = hits.to(rows.dtype) @ values.reshape(written, -1)
        return rows + share.reshape(rows.shape)
    last = torch.where(hits, torch.arange(1, written + 1), 0).amax(1)
    mask = _along(last > 0, 0, rows.ndim)
    return torch.where(mask, values.index_select(0, (last - 1).clamp(min=0)), rows)


@RULES(aten.index_fill.int_Scalar, aten.index_fill.int_Tensor)
def index_fill(x: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """Returns ``x`` with rows filled."""
    size = x.shape[dim]
    index = torch.where(index < 0, index + size, index).reshape(-1)
    written = (torch.arange(size).unsqueeze(1) == index.unsqueeze(0)).any(1)
    return torch.where(_along(written, dim, x.ndim), value, x)


def _along(mask: Tensor, dim: int, rank: int) -> Tensor:
    """Returns a mask of one axis, to be broadcast over ``rank`` of them."""
    shape = [1] * rank
    shape[dim] = -1
    return mask.reshape(shape)
