"""Pooling, channels-last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.reductions import exact_mean, steps_of
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


def _pooled(  # noqa: PLR0913, PLR0917
    e: Emitter,
    node: Any,
    dilation: Any,
    combine: Callable[..., Any],
    load: Callable[[Any], Any],
    outside: Any,
    finish: Callable[..., Any],
    factors: tuple[Any, ...] = (),
) -> None:
    """Writes ``combine`` over each window, ``finish`` of the result and what ``factors`` hold there."""
    kernel, stride, padding = (node.args[i] for i in (1, 2, 3))
    value, shape = e.value(node.args[0]), e.shape(node)
    if len(shape) != 4:  # noqa: PLR2004
        raise NoRuleError("pooling without a batch")
    storage = e.read(value, orders.NHWC)
    h, w = value.shape[2:]
    (top, left), (sh, sw), (dh, dw) = padding, stride, dilation
    cut = _is_cut(value.shape[2:], shape[2:], node, dilation)
    (y0, y1), (x0, x1) = (
        _useful(*span)
        for span in zip(kernel, (h, w), shape[2:], stride, padding, dilation, strict=True)
    )

    def compute(tensor: te.Tensor, *given: te.Tensor) -> te.Tensor:
        ry, rx = te.reduce_axis((0, y1 - y0), name="ry"), te.reduce_axis((0, x1 - x0), name="rx")

        def at(b: Any, y: Any, x: Any, c: Any) -> Any:
            row = y * sh + (ry + y0) * dh - top
            column = x * sw + (rx + x0) * dw - left
            number = load(tensor(b, row, column, c))
            if cut:
                inside = tirx.all(row >= 0, row < h, column >= 0, column < w)
                number = tirx.if_then_else(inside, number, outside)
            return combine(number, axis=[ry, rx])

        stored = orders.stored_shape(shape, orders.NHWC)
        windows = te.compute(stored, at, name="windows")
        return te.compute(
            stored,
            lambda b, y, x, c: finish(windows(b, y, x, c), *(g(y, x) for g in given)),
            name="pooled",
        )

    output = e.te(str(node.target.__name__).split(".")[0], compute, storage.expr, *factors)
    e.put(node, output, orders.NHWC, e.grid(node))


def _useful(
    kernel: int, size: int, out: int, stride: int, padding: int, dilation: int
) -> tuple[int, int]:
    """Returns the part of a window, from and to, that is inside for some place of the result."""
    inside = [
        k
        for k in range(kernel)
        if any(0 <= o * stride + k * dilation - padding < size for o in range(out))
    ]
    return inside[0], inside[-1] + 1


def _is_cut(size: Any, out: Any, node: Any, dilation: Any) -> bool:
    """Returns whether a window reaches over an edge."""
    spans = zip(size, out, *node.args[1:4], dilation, strict=True)
    return any(p > 0 or (o - 1) * s + (k - 1) * d + 1 - p > n for n, o, k, s, p, d in spans)


@rule(aten.max_pool2d.default)
def max_pool(e: Emitter, node: Any) -> None:
    """The largest of each window; of integers the largest integer."""
    value, goal, kind = e.value(node.args[0]), e.grid(node), e.dtype(node)
    stored = value.grid.dtype if value.grid is not None else kind
    least = tirx.min_value(stored)

    def finish(x: Any) -> Any:
        return scalars.converted(x, value.grid, goal, kind)

    _pooled(e, node, node.args[4], te.max, lambda x: x, least, finish)


@rule(aten.avg_pool2d.default)
def avg_pool(e: Emitter, node: Any) -> None:
    """The mean of each window; padding counts where the model says so."""
    value, goal, kind = e.value(node.args[0]), e.grid(node), e.dtype(node)
    counts = _counts(node)
    if value.grid is not None and goal is not None:
        grid, taps = value.grid, math.prod(node.args[1])
        outside = steps_of(tirx.const(grid.zero, "int32"), grid, taps)
        _pooled(
            e, node, (1, 1), te.sum, lambda x: steps_of(x, grid, taps), outside, lambda x, n: exact_mean(x, n, grid, goal),
            (constant_of(counts),),
        )  # fmt: skip
        return

    def load(x: Any) -> Any:
        return x if value.grid is None else scalars.real(x, value.grid)

    _pooled(
        e, node, (1, 1), te.sum, load, scalars.number(0, kind),
        lambda x, n: scalars.converted(x / n, None, goal, kind), (constant_of(counts.astype(kind)),),
    )  # fmt: skip


def _counts(node: Any) -> np.ndarray:
    """Returns what the sum of each window is divided by, (rows, columns), as torch counts it."""
    _, kernel, stride, padding, ceil, count_padding, divisor = node.args
    ones = torch.ones(1, 1, *node.args[0].meta["val"].shape[2:], dtype=torch.float64)
    args = (kernel, stride, padding, ceil)
    if divisor is None:
        share = torch.nn.functional.avg_pool2d(ones, *args, count_include_pad=bool(count_padding))
        inside = torch.nn.functional.avg_pool2d(ones, *args, divisor_override=1)
        counts = torch.round(inside / share)
    else:
        rows, columns = (int(d) for d in node.meta["val"].shape[2:])
        counts = torch.full((rows, columns), float(divisor), dtype=torch.float64)
    return np.ascontiguousarray(counts.reshape(counts.shape[-2:]).numpy())
