"""What only moves values: reshape and permute are free, slices, pads and joins are operators."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.ir import orders
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["pad_channels_last", "padded", "slice_of", "spatial_pads", "strided"]

aten = torch.ops.aten


@lowers(aten.reshape.default, aten.alias.default)
def _reshape(e: Emitter, node: torch.fx.Node) -> None:
    e.write_view(node, e.view(e.operand(node), e.shape(node)))


@lowers(aten.permute.default)
def _permute(e: Emitter, node: torch.fx.Node) -> None:
    value = e.operand(node)
    rank = len(value.shape)
    axes = [int(a) % rank for a in node.args[1]]  # type: ignore[union-attr,arg-type]
    e.write_view(node, e.permuted(value, axes))


@lowers(aten.slice.Tensor)
def _slice(e: Emitter, node: torch.fx.Node) -> None:
    source: Any
    source, axis, start, _, step = node.args
    value = e.value(source)
    operand = e.read(value, integer=e.is_integer(node))
    at = operand.order.index(int(axis))  # type: ignore[arg-type]
    size = list(orders.stored_shape(e.shape(node), operand.order))
    begin = [0] * len(size)
    begin[at] = int(start)  # type: ignore[arg-type]
    if step == 1:
        e.write(node, slice_of(e, operand.tensor, begin, size), operand.order)
        return
    e.write(node, strided(e, operand.tensor, at, begin[at], int(step), size[at]), operand.order)  # type: ignore[arg-type]


def strided(e: Emitter, tensor: Tensor, at: int, start: int, step: int, count: int) -> Tensor:
    """Returns ``count`` elements of the stored axis ``at``, from ``start`` on, each ``step`` apart."""
    begin, strides = [0] * len(tensor.shape), [1] * len(tensor.shape)
    size, end = list(tensor.shape), list(tensor.shape)
    begin[at], strides[at], size[at] = start, step, count
    end[at] = start + (count - 1) * step + 1
    return _moved(e, "STRIDED_SLICE", tensor, [begin, end, strides], size, "StridedSlice")


def slice_of(e: Emitter, tensor: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """Returns the part of ``tensor`` that starts at ``begin`` and has the shape ``size``."""
    return _moved(e, "SLICE", tensor, [begin, size], size, "Slice")


def _moved(
    e: Emitter,
    code: str,
    tensor: Tensor,
    arguments: Sequence[Sequence[int]],
    shape: Sequence[int],
    options: str = "",
    **values: Any,
) -> Tensor:
    """Emits an operator that keeps type and grid, with integers beside its input."""
    inputs = [tensor, *(e.integers(a) for a in arguments)]
    return e.emit(code, inputs, shape, options, dtype=tensor.dtype, grid=tensor.grid, **values)


@lowers(aten.cat.default)
def _concatenate(e: Emitter, node: torch.fx.Node) -> None:
    nodes: Any = node.args[0]
    nodes = [n for n in nodes if math.prod(e.shape(n)) > 0]
    axis = int(node.args[1]) if len(node.args) > 1 else 0  # type: ignore[arg-type]
    shape = e.shape(node)
    axis %= len(shape)
    integer = e.is_integer(node)
    tensors, order = aligned(e, nodes, shape, integer=integer)
    one = (1,) * len(shape)  # a constant of one element comes without the other dimensions
    tensors = [t if len(t.shape) == len(shape) else e.reshaped(t, one) for t in tensors]
    grid = e.grid(node) if integer else None
    output = e.emit(
        "CONCATENATION", tensors, orders.stored_shape(shape, order), "Concatenation",
        dtype=e.dtype(node), grid=grid, axis=order.index(axis),
    )  # fmt: skip
    e.write(node, output, order)


@lowers(aten.constant_pad_nd.default)
def _pad(e: Emitter, node: torch.fx.Node) -> None:
    """Puts the pad off: a convolution may do it by itself."""

    def make() -> None:
        integer = e.is_integer(node)
        operand = e.read(e.operand(node), integer=integer)
        pads = _pairs(node)
        amounts = [pads[d] for d in operand.order]
        fill = float(node.args[2]) if len(node.args) > 2 else 0.0  # type: ignore[arg-type]  # noqa: PLR2004
        e.write(node, padded(e, operand.tensor, amounts, fill), operand.order)

    e.defer(node, make)


def _pairs(node: torch.fx.Node) -> list[tuple[int, int]]:
    """Returns what is added before and after each dimension; torch names the last one first."""
    flat: Any = node.args[1]
    rank = node.meta["val"].ndim
    pairs = [(int(flat[i]), int(flat[i + 1])) for i in range(0, len(flat), 2)]
    return [(0, 0)] * (rank - len(pairs)) + pairs[::-1]


def spatial_pads(e: Emitter, node: torch.fx.Node) -> list[tuple[int, int]] | None:
    """Returns the zeros that the pad ``node`` adds to height and width, None for all else."""
    if node.target is not aten.constant_pad_nd.default:
        return None
    pads = _pairs(node)
    fill = node.args[2] if len(node.args) > 2 else 0  # noqa: PLR2004
    if fill != 0 or any(p != (0, 0) for p in pads[:2]) or min(min(p) for p in pads) < 0:
        return None
    before, after = e.grid(node.args[0]), e.grid(node)  # type: ignore[arg-type]
    same = before is after or (before is not None and after is not None and before.same_grid(after))
    return ([(0, 0), *pads[2:]])[-2:] if same else None


def pad_channels_last(e: Emitter, tensor: Tensor, amounts: Sequence[tuple[int, int]]) -> Tensor:
    """Returns an NHWC tensor with zeros around height and width."""
    return padded(e, tensor, [(0, 0), *amounts, (0, 0)], 0.0)


def padded(e: Emitter, tensor: Tensor, amounts: Sequence[tuple[int, int]], fill: float) -> Tensor:
    """Returns ``tensor`` with ``fill`` around it, or cropped where the amounts are negative.

    PAD fills with the real number 0, that is with the zero point of a grid.
    """
    if any(min(pair) < 0 for pair in amounts):
        begin = [-low for low, _ in amounts]
        size = [n + low + high for n, (low, high) in zip(tensor.shape, amounts, strict=True)]
        return slice_of(e, tensor, begin, size)
    shape = [n + low + high for n, (low, high) in zip(tensor.shape, amounts, strict=True)]
    table = e.model.constant("integers", np.array(amounts, np.int32))
    if fill == 0:
        return e.emit("PAD", [tensor, table], shape, "Pad", dtype=tensor.dtype, grid=tensor.grid)
    filler = _filler(e, tensor, fill)
    return e.emit(
        "PADV2", [tensor, table, filler], shape, "PadV2", dtype=tensor.dtype, grid=tensor.grid
    )


def _filler(e: Emitter, tensor: Tensor, fill: float) -> Tensor:
    if tensor.grid is None:
        least = float(np.finfo(np.float32).min)
        return e.scalar(max(fill, least) if tensor.dtype == "float32" else fill, tensor.dtype)
    whole = tensor.grid.quantize(torch.tensor([fill], dtype=torch.float32))
    return e.model.constant("filler", whole.numpy(), tensor.grid)


@lowers(aten.reflection_pad1d.default, aten.reflection_pad2d.default)
def _mirror(e: Emitter, node: torch.fx.Node) -> None:
    operand = e.read(e.operand(node), integer=e.is_integer(node))
    amounts = [_pairs(node)[d] for d in operand.order]
    shape = orders.stored_shape(e.shape(node), operand.order)
    output = e.emit(
        "MIRROR_PAD",
        [operand.tensor, e.model.constant("integers", np.array(amounts, np.int32))],
        shape,
        "MirrorPad",
        dtype=operand.tensor.dtype,
        grid=operand.tensor.grid,
        mode=0,
    )
    e.write(node, output, operand.order)


@lowers(aten.expand.default)
def _expand(e: Emitter, node: torch.fx.Node) -> None:
    shape = e.shape(node)
    tensors, order = aligned(e, [node.args[0]], shape, integer=e.is_integer(node))
    stored = orders.stored_shape(shape, order)
    output = _moved(e, "BROADCAST_TO", tensors[0], [stored], stored, "BroadcastTo")
    e.write(node, output, order)


@lowers(aten.roll.default)
def _roll(e: Emitter, node: torch.fx.Node) -> None:
    """Joins the two parts of each rolled dimension the other way round."""
    shape = e.shape(node)
    value = e.operand(node)
    shifts, axes = _listed(node.args[1]), _listed(node.args[2] if len(node.args) > 2 else [])  # noqa: PLR2004
    if not axes:
        value, axes = e.view(value, (value.size,)), [0]
    operand = e.read(value, integer=e.is_integer(node))
    tensor = operand.tensor
    for shift, axis in zip(shifts, axes, strict=True):
        tensor = _rolled(e, tensor, operand.order.index(axis % len(operand.order)), shift)
    e.write(node, tensor, operand.order, value.shape if value.shape != shape else None)


def _rolled(e: Emitter, tensor: Tensor, at: int, shift: int) -> Tensor:
    size = tensor.shape[at]
    cut = -shift % size
    if cut == 0:
        return tensor
    parts = []
    for start, length in ((cut, size - cut), (0, cut)):
        begin, shape = [0] * len(tensor.shape), list(tensor.shape)
        begin[at], shape[at] = start, length
        parts.append(slice_of(e, tensor, begin, shape))
    return e.emit(
        "CONCATENATION", parts, tensor.shape, "Concatenation",
        dtype=tensor.dtype, grid=tensor.grid, axis=at,
    )  # fmt: skip


@lowers(aten.flip.default)
def _flip(e: Emitter, node: torch.fx.Node) -> None:
    operand = e.read(e.operand(node), integer=e.is_integer(node))
    tensor = operand.tensor
    for axis in _listed(node.args[1]):
        at = operand.order.index(axis % len(operand.order))
        tensor = _moved(e, "REVERSE_V2", tensor, [[at]], tensor.shape, "ReverseV2")
    e.write(node, tensor, operand.order)


def _listed(value: Any) -> list[int]:
    return [int(value)] if isinstance(value, int) else [int(v) for v in value]
