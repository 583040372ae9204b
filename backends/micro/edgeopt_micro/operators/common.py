"""What the rules share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import kernel_kind, ops, orders
from edgeopt.lowering import NoRuleError
from edgeopt_micro.scalars import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_micro.calls import KernelCall
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

__all__ = [
    "best_order",
    "between",
    "fused",
    "fused_ends",
    "is_value",
    "operand",
    "replaced_index",
    "require_float",
]


def require_float(e: Emitter, node: Any) -> None:
    """Checks that the core computes ``node`` in float.

    Raises:
        NoRuleError: It does not; says why the node is float.
    """
    if e.core.fpu:
        return
    kind = kernel_kind(e.program, node)
    why = kind.reason if kind.kind == "float" else "it has no integer form here"
    raise NoRuleError(
        f"it is computed in float ({why}), and {e.target.cpu.model} has no float instructions"
    )


def is_value(argument: Any) -> bool:
    """Returns whether an argument of an operator is a tensor."""
    return isinstance(argument, torch.fx.Node)


def operand(e: Emitter, argument: Any) -> Value:
    """Returns the value of an argument that is a tensor or a number."""
    if is_value(argument):
        value: Value = e.value(argument)
        return value
    array = torch.tensor(
        argument, dtype=torch.float32 if isinstance(argument, float) else None
    ).numpy()
    return e.array_value("number", array)


def best_order(e: Emitter, node: Any) -> tuple[int, ...]:
    """Returns the memory order of the largest value that ``node`` reads and that has its shape."""
    shape = e.shape(node)
    for source in node.all_input_nodes:
        if e.shape(source) == shape and source.name not in e.program.constants:
            order: tuple[int, ...] = e.value(source).order
            return order
    return orders.identity(len(shape))


def fused(e: Emitter, node: Any, call: KernelCall, inputs: Sequence[Value], output: Value) -> Value:
    """Adds the call of an operator, which applies the activation behind it, and returns the output."""
    e.call(call, inputs, output)
    last = ops.fused_activation(node)
    if last is not None:
        e.fuse(last, output)
    return output


def fused_ends(node: Any) -> tuple[float, float]:
    """Returns the bounds of the activation that an operator's kernel applies; infinite without one."""
    activation = ops.fused_activation(node)
    return (-math.inf, math.inf) if activation is None else ops.activation_bounds(activation)


def between(expression: str, low: float, high: float) -> str:
    """Returns the C expression of a real number, clipped where a bound is finite."""
    if not math.isinf(low):
        expression = f"edgeopt_maximum({expression}, {literal(low)})"
    if not math.isinf(high):
        expression = f"edgeopt_minimum({expression}, {literal(high)})"
    return expression


def replaced_index(index: Sequence[str], axis: int, name: str) -> tuple[str, ...]:
    """Returns ``index`` with ``name`` along ``axis``."""
    return tuple(name if d == axis else i for d, i in enumerate(index))
