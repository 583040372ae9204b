"""Element by element: arithmetic, comparisons, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import tirx

from edgeopt_tvm import scalars
from edgeopt_tvm.operators.elementwise import elementwise
from edgeopt_tvm.operators.tables import chained, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.emitter import Emitter

__all__ = [
    "absolute",
    "add",
    "ceiling",
    "cosine",
    "divide",
    "equal",
    "error_function",
    "exponential",
    "floor",
    "greater",
    "greater_equal",
    "inverse_square_root",
    "less",
    "less_equal",
    "logarithm",
    "logical_and",
    "logical_not",
    "logical_or",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "power",
    "reciprocal",
    "round_half_to_even",
    "sine",
    "square_root",
    "subtract",
    "to_dtype",
    "where",
]

Rule = "Callable[[Emitter, torch.fx.Node], None]"


def _binary(function: Callable[[Any, Any], Any], *, apart: bool = False) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        if not chained(e, node):
            elementwise(e, node, function, node.args[:2], apart=apart)

    return emit


def _comparison(function: Callable[[Any, Any], Any]) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        elementwise(e, node, function, node.args[:2], dtype=_common(node))

    return emit


def _common(node: Any) -> str:
    """Returns the dtype in which torch compares both operands."""
    left, right = (a.meta["val"] if isinstance(a, torch.fx.Node) else a for a in node.args[:2])
    return str(torch.result_type(left, right)).removeprefix("torch.")


def _unary(function: Callable[[Any], Any]) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        if not table(e, node):
            elementwise(e, node, function, node.args[:1])

    return emit


def _logical(function: Callable[..., Any]) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        elementwise(e, node, function, node.args, dtype="bool")

    return emit


def _reciprocal(x: Any) -> Any:
    return scalars.number(1, scalars.kind_of(x)) / x


add = _binary(lambda a, b: a + b, apart=True)
subtract = _binary(lambda a, b: a - b, apart=True)
multiply = _binary(lambda a, b: a * b)
divide = _binary(lambda a, b: a / b)
maximum = _binary(tirx.max)
minimum = _binary(tirx.min)
power = _binary(tirx.pow)

equal = _comparison(tirx.EQ)
not_equal = _comparison(tirx.NE)
less = _comparison(tirx.LT)
less_equal = _comparison(tirx.LE)
greater = _comparison(tirx.GT)
greater_equal = _comparison(tirx.GE)

logical_and = _logical(tirx.And)
logical_or = _logical(tirx.Or)
logical_not = _logical(tirx.Not)

negative = _unary(lambda x: scalars.number(0, scalars.kind_of(x)) - x)
absolute = _unary(tirx.abs)
exponential = _unary(tirx.exp)
logarithm = _unary(tirx.log)
square_root = _unary(tirx.sqrt)
error_function = _unary(tirx.erf)
sine = _unary(tirx.sin)
cosine = _unary(tirx.cos)
floor = _unary(tirx.floor)
ceiling = _unary(tirx.ceil)
round_half_to_even = _unary(tirx.nearbyint)
reciprocal = _unary(_reciprocal)
inverse_square_root = _unary(lambda x: _reciprocal(tirx.sqrt(x)))


def where(e: Emitter, node: Any) -> None:
    """The second where the first is true, else the third."""
    elementwise(e, node, lambda c, a, b: tirx.Select(scalars.widened(c, "bool"), a, b), node.args)


def to_dtype(e: Emitter, node: Any) -> None:
    """The value as another dtype; bool is whether it differs from zero."""
    source = node.args[0]
    elementwise(
        e, node, lambda x: scalars.widened(x, e.dtype(node)), [source], dtype=e.dtype(source)
    )
