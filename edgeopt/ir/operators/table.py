"""The table, and how it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.ir.operators import captured, computing, moving
from edgeopt.ir.operators.traits import OperatorTraits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ACTIVATIONS",
    "CONVOLUTIONS",
    "RECURRENT",
    "TABLE",
    "WEIGHTED",
    "operators_where",
    "traits_of",
]

TABLE: Mapping[Any, OperatorTraits] = {
    row.operator: row for row in (*computing.ROWS, *moving.ROWS, *captured.ROWS)
}
"""ATen overload to its row."""

_UNKNOWN = OperatorTraits()


def traits_of(target: Any) -> OperatorTraits:
    """Returns the row of an operator.

    Args:
        target: A node, or its target. What is not in the table runs in float and moves nothing.
    """
    target = getattr(target, "target", target)
    return TABLE.get(target, _UNKNOWN)


def operators_where(condition: Callable[[OperatorTraits], bool]) -> tuple[Any, ...]:
    """Returns the overloads whose rows fulfil ``condition``, in the order of the table."""
    return tuple(operator for operator, row in TABLE.items() if condition(row))


WEIGHTED = operators_where(lambda row: row.weight is not None)
"""Convolutions and linear: sums of products with a weight."""

CONVOLUTIONS = operators_where(lambda row: row.weight is not None and row.weight.convolution)
"""Those that slide over their input."""

RECURRENT = operators_where(lambda row: row.recurrent is not None)
"""LSTM, GRU and plain recurrent layers."""

ACTIVATIONS = operators_where(lambda row: row.activation)
"""Those that a weighted operator's kernel applies before it rounds. relu6 is clamp(x, 0, 6)."""
