"""Softmax, layer norm and group norm: float, each one kernel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.parameters import Grid
    from edgeopt_tvm.storage import Operand

__all__ = ["softmax_of"]

aten = torch.ops.aten


@rule(aten.softmax.int)
def softmax(e: Emitter, node: Any) -> None:
    """exp(x) over its sum along one axis."""
    if e.dtype(node) != "float32":
        raise NoRuleError(f"softmax of {e.dtype(node)}")
    value = e.value(node.args[0])
    rank = len(value.shape)
    order = orders.with_last(e.read(value).order, int(node.args[1]) % rank)
    operand = e.operand(value, order, dtype="float32")
    n = value.shape[order[-1]]
    data = e.shaped(operand.expr, (1, e.size(value.shape) // n, n))
    output = softmax_of(e, data, operand, e.grid(node))
    e.put(node, e.shaped(output, orders.stored_shape(value.shape, order)), order, e.grid(node))


def softmax_of(
    e: Emitter, data: Any, operand: Operand | None = None, grid: Grid | None = None
) -> Any:
    """Returns the softmax along the last axis of three."""
    shape = tuple(int(d) for d in data.ty.shape)
    read = operand.stored if operand is not None else lambda t, *i: t(*i)

    def compute(tensor: te.Tensor) -> te.Tensor:
        k, j = (te.reduce_axis((0, shape[-1]), name=n) for n in "kj")
        top = te.compute(
            shape[:2], lambda b, m: te.max(read(tensor, b, m, k), axis=k), name="largest"
        )
        power = te.compute(
            shape, lambda b, m, i: tirx.exp(read(tensor, b, m, i) - top(b, m)), name="power"
        )
        total = te.compute(shape[:2], lambda b, m: te.sum(power(b, m, j), axis=j), name="total")
        return te.compute(
            shape,
            lambda b, m, i: scalars.converted(power(b, m, i) / total(b, m), None, grid, "float32"),
            name="share",
        )

    return e.te("softmax", compute, data)


@rule(aten.layer_norm.default)
def layer_norm(e: Emitter, node: Any) -> None:
    """Mean 0 and variance 1 over the last axes, then weight and bias."""
    x, sizes, weight, bias, epsilon = (*node.args, *(None, None, 1e-5)[len(node.args) - 2 :])[:5]
    value = e.value(x)
    order = e.read(value).order
    for axis in range(len(value.shape) - len(sizes), len(value.shape)):
        order = orders.with_last(order, axis)
    operand = e.operand(value, order, dtype="float32")
    n = math.prod(int(s) for s in sizes)
    rows = e.size(value.shape) // n
    factors = [(n,), _flat(e, weight), _flat(e, bias)]
    output = _normalized(e, node, operand, (rows, 1, 1, n), float(epsilon), factors)
    e.put(node, e.shaped(output, orders.stored_shape(value.shape, order)), order, e.grid(node))


@rule(aten.group_norm.default)
def group_norm(e: Emitter, node: Any) -> None:
    """Mean 0 and variance 1 over each group of channels, then weight and bias."""
    x, groups, weight, bias, epsilon = (*node.args, *(None, None, 1e-5)[len(node.args) - 2 :])[:5]
    value = e.value(x)
    order = orders.channels_last(len(value.shape))
    operand = e.operand(value, order, dtype="float32")
    n, c, *spatial = value.shape
    of_group = c // int(groups)
    factors = [(int(groups), of_group), _flat(e, weight), _flat(e, bias)]
    shape = (n, math.prod(spatial), int(groups), of_group)
    output = _normalized(e, node, operand, shape, float(epsilon), factors)
    e.put(node, e.shaped(output, orders.stored_shape(value.shape, order)), order, e.grid(node))


def _flat(e: Emitter, node: Any) -> Any:
    if node is None:
        return None
    value = e.value(node)
    return e.read(value, orders.identity(len(value.shape)), real=True).expr


def _normalized(
    e: Emitter, node: Any, operand: Operand, shape: tuple[int, ...], epsilon: float, factors: Any
) -> Any:
    """Returns (rows, places, groups, members) with mean 0 over places and members of each group."""
    rows, places, groups, members = shape
    data = e.shaped(operand.expr, shape)
    parameters = [e.shaped(f, (groups, members)) for f in factors[1:] if f is not None]
    scaled, shifted = (f is not None for f in factors[1:])
    grid, count = e.grid(node), scalars.f32(1.0 / (places * members))

    def compute(tensor: te.Tensor, *given: te.Tensor) -> te.Tensor:
        p, m, q, r = (
            te.reduce_axis((0, n), name=a)
            for a, n in zip("pmqr", (places, members, places, members), strict=True)
        )
        total = te.compute(
            (rows, groups),
            lambda b, g: te.sum(operand.stored(tensor, b, p, g, m), axis=(p, m)),
            name="total",
        )
        mean = te.compute((rows, groups), lambda b, g: total(b, g) * count, name="mean")

        def square(b: Any, g: Any) -> Any:
            off = operand.stored(tensor, b, q, g, r) - mean(b, g)
            return te.sum(off * off, axis=(q, r))

        squares = te.compute((rows, groups), square, name="squares")
        factor = te.compute(
            (rows, groups),
            lambda b, g: scalars.f32(1) / tirx.sqrt(squares(b, g) * count + scalars.f32(epsilon)),
            name="factor",
        )

        def at(b: Any, s: Any, g: Any, i: Any) -> Any:
            elements = iter(given)
            result = (operand.stored(tensor, b, s, g, i) - mean(b, g)) * factor(b, g)
            if scaled:
                result *= scalars.widened(next(elements)(g, i), "float32")
            if shifted:
                result += scalars.widened(next(elements)(g, i), "float32")
            return scalars.converted(result, None, grid, "float32")

        return te.compute(shape, at, name="normalized")

    return e.te("normalize", compute, data, *parameters)
