"""Resizing, channels-last, at the places that torch computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.upsample_nearest2d.vec)
def upsample_nearest(e: Emitter, node: Any) -> None:
    """Resizes by repeating the nearest value."""
    value, shape, grid, kind = e.value(node.args[0]), e.shape(node), e.grid(node), e.dtype(node)
    storage = e.read(value, orders.NHWC)
    rows, columns = (
        _nearest(value.shape[a], shape[a], f)
        for a, f in zip((2, 3), node.args[2] or (None, None), strict=True)
    )
    whole = _repeats(rows), _repeats(columns)
    places = [] if all(whole) else [constant_of(rows), constant_of(columns)]

    def compute(tensor: te.Tensor, *at: te.Tensor) -> te.Tensor:
        def one(b: Any, y: Any, x: Any, c: Any) -> Any:
            if at:
                y, x = at[0](y), at[1](x)
            else:
                y, x = tirx.floordiv(y, whole[0]), tirx.floordiv(x, whole[1])
            return scalars.converted(tensor(b, y, x, c), storage.grid, grid, kind)

        return te.compute(orders.stored_shape(shape, orders.NHWC), one, name="nearest")

    e.put(node, e.te("upsample", compute, storage.expr, *places), orders.NHWC, grid)


def _nearest(size: int, out: int, factor: float | None) -> np.ndarray:
    step = np.float32(size / out) if factor is None else np.float32(1.0 / factor)
    places = np.floor(np.arange(out, dtype=np.float32) * step).astype(np.int32)
    nearest: np.ndarray = np.minimum(places, size - 1)
    return nearest


def _repeats(places: np.ndarray) -> int:
    """Returns how often each place is repeated, 0 where that differs."""
    times = int((places == 0).sum())
    return times if np.array_equal(places, np.arange(len(places)) // times) else 0


@rule(aten.upsample_bilinear2d.vec)
def upsample_bilinear(e: Emitter, node: Any) -> None:
    """Resizes by straight lines between the four nearest values."""
    value, shape, grid = e.value(node.args[0]), e.shape(node), e.grid(node)
    kind = e.dtype(node)
    operand = e.operand(value, orders.NHWC)
    factors = (node.args[3] if len(node.args) > 3 else None) or (None, None)  # noqa: PLR2004
    places = [
        constant_of(array)
        for a, f in zip((2, 3), factors, strict=True)
        for array in _lines(value.shape[a], shape[a], f, corners=bool(node.args[2]))
    ]

    def compute(tensor: te.Tensor, *at: te.Tensor) -> te.Tensor:
        y0, y1, dy, x0, x1, dx = at

        def one(b: Any, y: Any, x: Any, c: Any) -> Any:
            def line(row: Any) -> Any:
                before = operand.stored(tensor, b, row, x0(x), c)
                behind = operand.stored(tensor, b, row, x1(x), c)
                return (scalars.f32(1) - dx(x)) * before + dx(x) * behind

            result = (scalars.f32(1) - dy(y)) * line(y0(y)) + dy(y) * line(y1(y))
            return scalars.converted(result, None, grid, kind)

        return te.compute(orders.stored_shape(shape, orders.NHWC), one, name="bilinear")

    e.put(node, e.te("upsample", compute, operand.expr, *places), orders.NHWC, grid)


def _lines(size: int, out: int, factor: float | None, *, corners: bool) -> tuple[np.ndarray, ...]:
    """Returns for each place of the result its neighbours in the source, and how near the second is."""
    at = np.arange(out, dtype=np.float32)
    if corners:
        source = at * np.float32((size - 1) / (out - 1) if out > 1 else 0)
    else:
        step = np.float32(size / out if factor is None else 1.0 / factor)
        source = np.maximum(step * (at + np.float32(0.5)) - np.float32(0.5), np.float32(0))
    first = np.minimum(np.floor(source).astype(np.int32), size - 1)
    second = np.minimum(first + 1, size - 1)
    near = np.clip(source - first.astype(np.float32), np.float32(0), np.float32(1))
    return first, second, near.astype(np.float32)
