"""Element by element: arithmetic, comparisons, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openvino.opset13 as op
import torch

from edgeopt_openvino.constants import element_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_openvino.emitter import Emitter

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


def _promoted(e: Emitter, node: Any, dtype: torch.dtype) -> list[Any]:
    """Returns both operands as ``dtype``; a number becomes a scalar."""
    return [
        e.cast(e.value(a), dtype)
        if isinstance(a, torch.fx.Node)
        else op.constant(a, element_type(dtype)).output(0)
        for a in node.args[:2]
    ]


def _common(node: Any) -> torch.dtype:
    """Returns the dtype in which torch compares both operands."""
    left, right = (a.meta["val"] if isinstance(a, torch.fx.Node) else a for a in node.args[:2])
    dtype: torch.dtype = torch.result_type(left, right)
    return dtype


def _binary(make: Callable[[Any, Any], Any]) -> Callable[[Emitter, torch.fx.Node], Any]:
    def emit(e: Emitter, node: Any) -> Any:
        return make(*_promoted(e, node, node.meta["val"].dtype))

    return emit


def _comparison(make: Callable[[Any, Any], Any]) -> Callable[[Emitter, torch.fx.Node], Any]:
    def emit(e: Emitter, node: Any) -> Any:
        return make(*_promoted(e, node, _common(node)))

    return emit


def _unary(make: Callable[[Any], Any]) -> Callable[[Emitter, torch.fx.Node], Any]:
    def emit(e: Emitter, node: Any) -> Any:
        return make(e.cast(e.value(node.args[0]), node.meta["val"].dtype))

    return emit


def _logical(make: Callable[..., Any]) -> Callable[[Emitter, torch.fx.Node], Any]:
    def emit(e: Emitter, node: Any) -> Any:
        return make(*(e.cast(e.value(a), torch.bool) for a in node.args))

    return emit


add = _binary(op.add)
subtract = _binary(op.subtract)
multiply = _binary(op.multiply)
divide = _binary(op.divide)
maximum = _binary(op.maximum)
minimum = _binary(op.minimum)
power = _binary(op.power)

equal = _comparison(op.equal)
not_equal = _comparison(op.not_equal)
less = _comparison(op.less)
less_equal = _comparison(op.less_equal)
greater = _comparison(op.greater)
greater_equal = _comparison(op.greater_equal)

logical_and = _logical(op.logical_and)
logical_or = _logical(op.logical_or)
logical_not = _logical(op.logical_not)

negative = _unary(op.negative)
absolute = _unary(op.abs)
exponential = _unary(op.exp)
logarithm = _unary(op.log)
square_root = _unary(op.sqrt)
error_function = _unary(op.erf)
sine = _unary(op.sin)
cosine = _unary(op.cos)
floor = _unary(op.floor)
ceiling = _unary(op.ceiling)
round_half_to_even = _unary(lambda x: op.round(x, "half_to_even"))


def reciprocal(e: Emitter, node: Any) -> Any:
    """1 / x."""
    return op.divide(e.number(node, 1.0), e.value(node.args[0]))


def inverse_square_root(e: Emitter, node: Any) -> Any:
    """1 / sqrt(x)."""
    return op.divide(e.number(node, 1.0), op.sqrt(e.value(node.args[0])))


def where(e: Emitter, node: Any) -> Any:
    """The second where the first is true, else the third."""
    condition, *values = node.args
    yes, no = (e.cast(e.value(v), node.meta["val"].dtype) for v in values)
    return op.select(e.cast(e.value(condition), torch.bool), yes, no)


def to_dtype(e: Emitter, node: Any) -> Any:
    """The value as another dtype; bool is whether it differs from zero."""
    return e.cast(e.value(node.args[0]), node.meta["val"].dtype)
