"""C expressions of single numbers: stored ones as real ones, and real ones on grids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgeopt_micro.values import Value

__all__ = ["literal", "real", "signed", "stored"]


def literal(number: float) -> str:
    """Returns a number as a C literal of type float, infinities and NaN too."""
    if number != number:  # noqa: PLR0124 (NaN)
        return '__builtin_nanf("")'
    if number in (float("inf"), float("-inf")):
        return "__builtin_inff()" if number > 0 else "-__builtin_inff()"
    return f"{float(np.float32(number))!r}f"


def real(value: Value, expression: str) -> str:
    """Returns the C expression of the real number that a stored one stands for."""
    if value.grid is None:
        return expression
    return f"((float)({expression} - {signed(value.grid.zero)}) * {literal(value.grid.scale)})"


def stored(value: Value, expression: str) -> str:
    """Returns the C expression of what is stored of a real number, in a value like ``value``."""
    grid = value.grid
    if grid is None:
        return expression
    ends = f"{signed(grid.zero)}, {signed(grid.low)}, {signed(grid.high)}"
    return f"(int8_t)edgeopt_on_grid({expression}, {literal(grid.scale)}, {ends})"


def signed(number: int) -> str:
    """Returns a whole number as a C expression that may stand behind any operator."""
    return f"({number})" if number < 0 else str(number)
