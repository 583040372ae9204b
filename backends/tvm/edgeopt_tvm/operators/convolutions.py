"""Convolutions, channels-last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt_tvm import kernels
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.padding import padded_source
from edgeopt_tvm.operators.weighted import weighted_operator_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.operators.weighted import WeightedOperator

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.conv1d.default, aten.conv2d.default)
def convolution(e: Emitter, node: Any) -> None:
    """A convolution of one or two dimensions, grouped or not."""
    x, _, _, stride, padding, dilation, groups = node.args
    operator = weighted_operator_of(e, node)
    source, around = padded_source(e, x)
    pads = [(p + before, p + behind) for p, (before, behind) in zip(padding, around, strict=True)]
    (top, bottom), (left, right) = pads if len(pads) == 2 else ((0, 0), pads[0])  # noqa: PLR2004
    window = kernels.Window(_pair(stride), (top, left, bottom, right), _pair(dilation), int(groups))
    _convolved(e, operator, _input(e, operator, source), _weight(operator.weight), window)


def _convolved(
    e: Emitter, operator: WeightedOperator, data: Any, weight: np.ndarray, window: kernels.Window
) -> None:
    parts = operator.parts if window.groups == 1 else []
    sums = [
        kernels.convolution(
            e.builder,
            data,
            weight[..., first:end],
            e.machine,
            window,
            fill=operator.fill,
            first=first,
            deep=operator.is_deep and not parts,
        )
        for first, end in parts or [(0, weight.shape[-1])]
    ]
    operator.finish(e, sums, orders.channels_last(len(e.shape(operator.node))))


def _pair(values: Sequence[int]) -> tuple[int, int]:
    """Returns two numbers; a convolution of one dimension has one row."""
    sizes = [int(v) for v in values]
    return (sizes[0], sizes[1]) if len(sizes) == 2 else (1, sizes[0])  # noqa: PLR2004


def _input(e: Emitter, operator: WeightedOperator, source: Any) -> Any:
    """Returns a weighted operator's input: (batch, rows, columns, channels)."""
    value = e.value(source)
    order = orders.channels_last(len(value.shape))
    storage = e.read(value, order, real=operator.grid is None)
    n, *spatial, c = orders.stored_shape(value.shape, order)
    rows = [1] * (2 - len(spatial)) + list(spatial)
    return e.shaped(storage.expr, (n, *rows, c))


def _weight(weight: np.ndarray) -> np.ndarray:
    """Returns (out, in of a group, …) as (out, rows, columns, in of a group)."""
    if weight.ndim == 3:  # noqa: PLR2004 (a convolution of one dimension)
        weight = weight[:, :, None]
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1))


@rule(aten.conv_transpose2d.input)
def transposed_convolution(e: Emitter, node: Any) -> None:
    """A transposed convolution: zeros between the values, then a convolution of the turned weight."""
    x, _, _, stride, padding, extra, groups, dilation = node.args
    operator = _turned(weighted_operator_of(e, node), int(groups))
    size = [(k - 1) * d for k, d in zip(operator.weight.shape[2:], dilation, strict=True)]
    before = [s - p for s, p in zip(size, padding, strict=True)]
    after = [b + o for b, o in zip(before, extra, strict=True)]
    data = _spaced(e, _input(e, operator, x), stride, before, after, operator.fill)
    window = kernels.Window((1, 1), (0, 0, 0, 0), _pair(dilation), int(groups))
    _convolved(e, operator, data, _weight(operator.weight), window)


def _turned(operator: WeightedOperator, groups: int) -> WeightedOperator:
    """Returns the convolution that a transposed one is, on values with zeros in between."""
    scale = None if operator.scale is None else operator.scale.repeat(groups)
    return replace(operator, weight=_turned_weight(operator.weight, groups), scale=scale)


def _turned_weight(weight: np.ndarray, groups: int) -> np.ndarray:
    """Returns (in, out of a group, …) as (out, in of a group, …), turned by half a circle."""
    first, of_group, *kernel = weight.shape
    split = weight.reshape(groups, first // groups, of_group, *kernel)
    joined = split.swapaxes(1, 2).reshape(groups * of_group, first // groups, *kernel)
    return np.ascontiguousarray(joined[:, :, ::-1, ::-1])


def _spaced(
    e: Emitter,
    data: Any,
    stride: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    fill: int,
) -> Any:
    """Writes ``fill`` between the rows and columns of ``data``, and around it; crops where negative."""
    n, h, w, c = (int(d) for d in data.ty.shape)
    kind = str(data.ty.dtype)
    rows, columns = (
        (size - 1) * s + 1 + b + a
        for size, s, b, a in zip((h, w), stride, before, after, strict=True)
    )
    (sh, sw), (top, left) = stride, before

    def compute(tensor: te.Tensor) -> te.Tensor:
        def at(b: Any, y: Any, x: Any, ch: Any) -> Any:
            y, x = y - top, x - left
            inside = tirx.all(
                y >= 0, y <= (h - 1) * sh, x >= 0, x <= (w - 1) * sw,
                tirx.floormod(y, sh) == 0, tirx.floormod(x, sw) == 0,
            )  # fmt: skip
            value = tensor(b, tirx.floordiv(y, sh), tirx.floordiv(x, sw), ch)
            return tirx.if_then_else(inside, value, tirx.const(fill, kind))

        return te.compute((n, rows, columns, c), at, name="spaced")

    return e.te("spaced", compute, data)
