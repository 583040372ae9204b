"""Comparisons, and choices among values by what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt_micro.loops import pointwise
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.operators.common import (
    EVERY,
    best_order,
    is_value,
    moved_to,
    operand,
    require_float,
    require_float_or_end,
)
from edgeopt_micro.scalars import real, stored

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

aten = torch.ops.aten

_COMPARISONS = {
    aten.eq.Scalar: "==", aten.eq.Tensor: "==", aten.ne.Scalar: "!=", aten.ne.Tensor: "!=",
    aten.ge.Scalar: ">=", aten.ge.Tensor: ">=", aten.gt.Scalar: ">", aten.gt.Tensor: ">",
    aten.le.Scalar: "<=", aten.le.Tensor: "<=", aten.lt.Scalar: "<", aten.lt.Tensor: "<",
}  # fmt: skip


@rule(*_COMPARISONS)
def _compared(e: Emitter, node: Any) -> Value:
    a, b = (operand(e, argument) for argument in node.args[:2])
    output = e.described(node, best_order(e, node))
    sign = _COMPARISONS[node.target]
    if a.grid is not None and a.grid == b.grid:
        call = pointwise(output, [a, b], lambda x, y: f"{x} {sign} {y}", name="compared")
        return e.call(call, [a, b], output)
    if a.grid is not None and not is_value(node.args[1]):
        return _by_table(e, node, a, output)
    if any(one.grid is not None or one.dtype == "float32" for one in (a, b)):
        require_float(e, node)
    call = pointwise(output, [a, b], lambda x, y: f"{real(a, x)} {sign} {real(b, y)}")
    return e.call(call, [a, b], output)


def _by_table(e: Emitter, node: Any, x: Value, output: Value) -> Value:
    """Writes the comparison of an int8 value with a number as the table of its 256 results."""
    reals = e.program.quant[node.args[0].name].dequantize(torch.from_numpy(EVERY))
    table = node.target(reals, node.args[1]).numpy().astype(np.uint8)
    call = pointwise(output, [x], lambda a: f"table[{a} + 128]", {"table": table}, name="table")
    return e.call(call, [x], output)


@rule(aten.logical_not.default, aten.bitwise_not.default)
def _not(e: Emitter, node: Any) -> Value:
    x = e.value(node.args[0])
    output = e.described(node, x.order)
    sign = "!" if x.dtype == "bool" or node.target is aten.logical_not.default else "~"
    return e.call(pointwise(output, [x], lambda a: f"{sign}{a}"), [x], output)


@rule(aten.where.self)
def _where(e: Emitter, node: Any) -> Value:
    chosen, *sides = (operand(e, argument) for argument in node.args[:3])
    output = e.described(node, best_order(e, node))
    a, b = (_on_grid(e, node, side, output) for side in sides)
    inputs = [chosen, a, b]
    if a.grid is not None and b.grid is not None and output.grid is not None:
        on_a, on_b = moved_to(a, output, "of_a"), moved_to(b, output, "of_b")
        call = pointwise(
            output,
            inputs,
            lambda c, x, y: f"{c} ? {on_a.read(x)} : {on_b.read(y)}",
            {**on_a.numbers, **on_b.numbers},
            name="chosen",
        )
        return e.call(call, inputs, output)
    same = all(one.grid == output.grid for one in (a, b))
    if not same:
        require_float_or_end(e, node, (a, b))

    def expression(c: str, x: str, y: str) -> str:
        if same:
            return f"{c} ? {x} : {y}"
        return stored(output, f"({c} ? {real(a, x)} : {real(b, y)})")

    return e.call(pointwise(output, inputs, expression), inputs, output)


def _on_grid(e: Emitter, node: Any, side: Value, output: Value) -> Value:
    """Returns a constant on the output's grid; what is computed, and what has a grid, as it is."""
    array = side.buffer.array
    if output.grid is None or side.grid is not None or array is None:
        return side
    spec = e.program.quant[node.name]
    whole = spec.quantize(torch.from_numpy(array).float()).numpy()
    moved = e.array_value(side.buffer.name, whole, output.grid)
    return replace(moved, shape=side.shape, order=side.order)
