"""What the rules share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import kernel_kind, ops, orders
from edgeopt.lowering import NoRuleError
from edgeopt_micro.scalars import literal
from edgeopt_micro.values import requantized

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt_micro.calls import KernelCall
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

__all__ = [
    "EVERY",
    "Moved",
    "best_order",
    "between",
    "fused",
    "fused_ends",
    "is_value",
    "moved_to",
    "operand",
    "replaced_index",
    "require_float",
    "require_float_or_end",
]

EVERY = np.arange(INT8.lowest, INT8.highest + 1).astype(INT8.name)
"""All integers that an int8 value may be."""


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


def require_float_or_end(e: Emitter, node: Any, values: Sequence[Value]) -> None:
    """Checks that the core computes ``node`` in float, or that it ends the program there.

    A core without FPU makes the real numbers that integers stand for by its compiler's soft floats, where
    the caller alone reads them: a product for each.

    Raises:
        NoRuleError: Neither.
    """
    last = ops.fused_activation(node) or node
    whole = all(one.grid is not None or one.buffer.array is not None for one in values)
    if not (whole and all(user.op == "output" for user in last.users)):
        require_float(e, node)


class Moved(NamedTuple):
    """An int8 value on another grid, number by number.

    Attributes:
        integers: What each of its 256 integers is there.
        numbers: The table, where there must be one.
        read: From the C name of a stored number to the expression of the one on the grid.
    """

    integers: np.ndarray
    numbers: dict[str, np.ndarray]
    read: Callable[[str], str]


def moved_to(value: Value, output: Value, name: str) -> Moved:
    """Returns how ``value`` is read on the grid of ``output``.

    Args:
        value: It has a grid.
        output: Likewise.
        name: Of the table, as an argument in C.
    """
    assert value.grid is not None  # noqa: S101 (asked by the caller)
    assert output.grid is not None  # noqa: S101
    if value.grid == output.grid:
        return Moved(EVERY, {}, lambda x: x)
    table = requantized(EVERY, value.grid, output.grid)
    return Moved(table, {name: table}, lambda x: f"{name}[{x} + 128]")


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
