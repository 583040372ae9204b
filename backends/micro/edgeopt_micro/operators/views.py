"""Operators that only move numbers: most are views of memory, the rest copies."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt_micro.loops import element, nest, pointwise
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.scalars import literal

if TYPE_CHECKING:
    from edgeopt_micro.calls import KernelCall
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

aten = torch.ops.aten


@rule(aten.reshape.default)
def _reshape(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    order = orders.reshaped(x.shape, x.order, e.shape(node))
    if order is None:
        x = e.plain(x)
        order = orders.identity(len(e.shape(node)))
    return e.view(node, x, order)


@rule(aten.permute.default)
def _permute(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    axes = [axis % len(x.shape) for axis in node.args[1]]
    return e.view(node, x, orders.permuted(x.order, axes))


@rule(aten.slice.Tensor)
def _slice(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    defaults: tuple[Any, ...] = (0, 0, None, 1)
    settings = (*node.args[1:], *defaults[len(node.args) - 1 :])
    axis, start, step = settings[0] % len(x.shape), settings[1] or 0, settings[3]
    start = min(max(start + x.shape[axis] if start < 0 else start, 0), x.shape[axis])
    return _moved(e, node, x, lambda d, i: f"({i} * {step} + {start})" if d == axis else i)


@rule(aten.flip.default)
def _flip(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    axes = {axis % len(x.shape) for axis in node.args[1]}
    return _moved(e, node, x, lambda d, i: f"({x.shape[d] - 1} - {i})" if d in axes else i)


@rule(aten.roll.default)
def _roll(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    shifts, axes = node.args[1], (*node.args, [])[2]
    if not axes:
        raise NoRuleError("over all dimensions at once")
    back = {axis % len(x.shape): -shift for axis, shift in zip(axes, shifts, strict=True)}

    def place(d: int, i: str) -> str:
        size = x.shape[d]
        return f"(({i} + {back[d] % size}) % {size})" if d in back else i

    return _moved(e, node, x, place)


@rule(aten.expand.default)
def _expand(e: Emitter, node: Any) -> Value:
    output = e.described(node)
    x = e.regridded(e.value(node.args[0]), output)
    return e.call(pointwise(output, [x], lambda a: a, name="copy"), [x], output)


@rule(aten.upsample_nearest2d.vec)
def _nearest(e: Emitter, node: Any) -> Value:
    x = e.in_order(e.value(node.args[0]), orders.channels_last(4))
    sizes = e.shape(node)

    def place(d: int, i: str) -> str:
        return i if d < 2 else f"({i} * {x.shape[d]} / {sizes[d]})"  # noqa: PLR2004 (height, width)

    if any(sizes[d] % x.shape[d] for d in (2, 3)):
        raise NoRuleError("by a factor that is not whole")
    return _moved(e, node, x, place)


def _moved(e: Emitter, node: Any, x: Value, place: Any) -> Value:
    """Writes a copy that reads dimension ``d`` at ``place(d, index)``."""
    output = e.described(node, x.order)
    x = e.regridded(x, output)

    def body(*index: str) -> str:
        source = [place(d, i) for d, i in enumerate(index)]
        return f"{element(output, 'y', index)} = {element(x, 'x0', source)};"

    return e.call(nest(output, [x], body, name="moved"), [x], output)


@rule(aten.constant_pad_nd.default)
def _pad(e: Emitter, node: Any) -> Value:
    x, sizes, fill = e.value(node.args[0]), node.args[1], (*node.args, 0)[2]
    output = e.described(node, x.order)
    x = e.regridded(x, output)
    rank = len(x.shape)
    before = {rank - 1 - k: int(sizes[2 * k]) for k in range(len(sizes) // 2)}
    number = _stored_fill(output, float(fill))

    def body(*index: str) -> str:
        source = [f"({i} - {before[d]})" if before.get(d) else i for d, i in enumerate(index)]
        inside = [
            f"{source[d]} >= 0 && {source[d]} < {x.shape[d]}"
            for d in before
            if x.shape[d] != output.shape[d] or before[d]
        ]
        read = element(x, "x0", source)
        chosen = f"{' && '.join(inside)} ? {read} : {number}" if inside else read
        return f"{element(output, 'y', index)} = {chosen};"

    return e.call(nest(output, [x], body, name="pad"), [x], output)


def _stored_fill(output: Value, fill: float) -> str:
    if output.grid is None:
        return literal(fill) if output.dtype == "float32" else str(int(fill))
    if math.isinf(fill):
        return str(output.grid.low if fill < 0 else output.grid.high)
    steps = round(fill / output.grid.scale) + output.grid.zero
    return str(min(max(steps, output.grid.low), output.grid.high))


@rule(aten.cat.default)
def _concatenate(e: Emitter, node: Any) -> Value:
    parts = [e.value(part) for part in node.args[0]]
    axis = (*node.args, 0)[1] % len(e.shape(node))
    output = e.described(node, max(parts, key=lambda part: part.count).order)
    start = 0
    for part in (e.regridded(part, output) for part in parts):
        e.call(_part(output, part, axis, start), [part], output)
        start += part.shape[axis]
    return output


def _part(output: Value, part: Value, axis: int, start: int) -> KernelCall:
    """Returns a copy of ``part`` to where it stands in ``output``."""

    def body(*index: str) -> str:
        goal = [f"({i} + {start})" if d == axis else i for d, i in enumerate(index)]
        return f"{element(output, 'y', goal)} = {element(part, 'x0', index)};"

    return nest(replace(output, shape=part.shape), [part], body, name="part")


# -- by index ---------------------------------------------------------------------------------------


@rule(aten.embedding.default)
def _embedding(e: Emitter, node: Any) -> Value:
    table, index = e.value(node.args[0]), e.plain(e.value(node.args[1]))
    output = e.described(node)
    table = e.regridded(table, output)
    rows, width = table.shape

    def body(*place: str) -> str:
        row = element(index, "x1", place[:-1])
        return (
            f"const int32_t row = edgeopt_clamped((int32_t){row}, 0, {rows - 1});\n"
            f"{element(output, 'y', place)} = x0[row * {width} + {place[-1]}];"
        )

    return e.call(nest(output, [table, index], body, name="embedding"), [table, index], output)


@rule(aten.index_select.default)
def _index_select(e: Emitter, node: Any) -> Value:
    x, index = e.value(node.args[0]), e.plain(e.value(node.args[2]))
    axis = node.args[1] % len(x.shape)
    output = e.described(node, x.order)
    x = e.regridded(x, output)

    def body(*place: str) -> str:
        source = ["row" if d == axis else i for d, i in enumerate(place)]
        return (
            f"const int32_t row = edgeopt_clamped((int32_t)x1[{place[axis]}], 0, {x.shape[axis] - 1});\n"
            f"{element(output, 'y', place)} = {element(x, 'x0', source)};"
        )

    return e.call(nest(output, [x, index], body, name="selected"), [x, index], output)
