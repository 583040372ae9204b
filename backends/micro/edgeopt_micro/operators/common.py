"""What the rules share: reading stored numbers as real ones, and putting real ones on grids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError

if TYPE_CHECKING:
    from edgeopt_micro.emitter import Emitter
    from edgeopt_micro.values import Value

__all__ = ["best_order", "is_value", "literal", "operand", "real", "require_float", "stored"]


def require_float(e: Emitter) -> None:
    """Checks that the core computes in float.

    Raises:
        NoRuleError: It does not.
    """
    if not e.core.fpu:
        raise NoRuleError(
            f"it has no integer form, and {e.target.cpu.model} has no float instructions"
        )


def literal(number: float) -> str:
    """Returns a number as a C literal of type float."""
    if number != number:  # noqa: PLR0124 (NaN)
        return "edgeopt_float(0x7fc00000u)"
    if number in (float("inf"), float("-inf")):
        return f"edgeopt_float({'0x7f800000u' if number > 0 else '0xff800000u'})"
    text = repr(float(torch.tensor(number, dtype=torch.float32)))
    return f"{text}f"


def real(value: Value, expression: str) -> str:
    """Returns the C expression of the real number that a stored one stands for."""
    if value.grid is None:
        return expression
    return f"((float)({expression} - {_signed(value.grid.zero)}) * {literal(value.grid.scale)})"


def stored(value: Value, expression: str) -> str:
    """Returns the C expression of what is stored of a real number, in a value like ``value``."""
    grid = value.grid
    if grid is None:
        return expression
    ends = f"{_signed(grid.zero)}, {_signed(grid.low)}, {_signed(grid.high)}"
    return f"(int8_t)edgeopt_on_grid({expression}, {literal(grid.scale)}, {ends})"


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


def _signed(number: int) -> str:
    return f"({number})" if number < 0 else str(number)
