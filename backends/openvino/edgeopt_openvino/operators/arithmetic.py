"""Element by element: arithmetic, comparisons, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openvino.opset13 as op
import torch

from edgeopt.lowering import NoRuleError
from edgeopt_openvino.constants import element_type
from edgeopt_openvino.operator_rules import rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


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


rule(aten.add.Tensor)(_binary(op.add))
rule(aten.sub.Tensor)(_binary(op.subtract))
rule(aten.mul.Tensor)(_binary(op.multiply))
rule(aten.div.Tensor)(_binary(op.divide))
rule(aten.maximum.default)(_binary(op.maximum))
rule(aten.minimum.default)(_binary(op.minimum))

rule(aten.eq.Tensor, aten.eq.Scalar)(_comparison(op.equal))
rule(aten.ne.Tensor, aten.ne.Scalar)(_comparison(op.not_equal))
rule(aten.lt.Tensor, aten.lt.Scalar)(_comparison(op.less))
rule(aten.le.Tensor, aten.le.Scalar)(_comparison(op.less_equal))
# Joined with others, OpenVINO's own "greater" and "greater or equal" (2026.4) are true of NaN.
rule(aten.gt.Tensor, aten.gt.Scalar)(_comparison(lambda a, b: op.less(b, a)))
rule(aten.ge.Tensor, aten.ge.Scalar)(_comparison(lambda a, b: op.less_equal(b, a)))

rule(aten.logical_and.default)(_logical(op.logical_and))
rule(aten.logical_or.default)(_logical(op.logical_or))
rule(aten.logical_not.default)(_logical(op.logical_not))

rule(aten.neg.default)(_unary(op.negative))
rule(aten.abs.default)(_unary(op.abs))
rule(aten.exp.default)(_unary(op.exp))
rule(aten.log.default)(_unary(op.log))
rule(aten.sqrt.default)(_unary(op.sqrt))
rule(aten.erf.default)(_unary(op.erf))
rule(aten.sin.default)(_unary(op.sin))
rule(aten.cos.default)(_unary(op.cos))
rule(aten.floor.default)(_unary(op.floor))
rule(aten.ceil.default)(_unary(op.ceiling))
rule(aten.round.default)(_unary(lambda x: op.round(x, "half_to_even")))


@rule(aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor)
def power(e: Emitter, node: Any) -> Any:
    """The first to the power of the second, of real numbers."""
    dtype = node.meta["val"].dtype
    if not dtype.is_floating_point:
        raise NoRuleError("OpenVINO computes powers of integers in float32, and loses digits")
    return op.power(*_promoted(e, node, dtype))


@rule(aten.floor_divide.default, aten.div.Tensor_mode)
def floor_divide(e: Emitter, node: Any) -> Any:
    """The quotient, rounded down; of floats and of other modes as the frontend has it."""
    dtype = node.meta["val"].dtype
    if dtype.is_floating_point or node.kwargs.get("rounding_mode", "floor") != "floor":
        return e.fallback(node)
    a, b = _promoted(e, node, dtype)
    # The runtime cuts integer quotients off toward zero; this numerator leaves nothing to cut.
    return op.divide(op.subtract(a, op.floor_mod(a, b)), b)


@rule(aten.reciprocal.default)
def reciprocal(e: Emitter, node: Any) -> Any:
    """1 / x."""
    value = e.cast(e.value(node.args[0]), node.meta["val"].dtype)
    return op.divide(e.number(node, 1.0), value)


@rule(aten.rsqrt.default)
def inverse_square_root(e: Emitter, node: Any) -> Any:
    """1 / sqrt(x)."""
    value = e.cast(e.value(node.args[0]), node.meta["val"].dtype)
    return op.divide(e.number(node, 1.0), op.sqrt(value))


@rule(aten.where.self)
def where(e: Emitter, node: Any) -> Any:
    """The second where the first is true, else the third."""
    condition, *values = node.args
    yes, no = (e.cast(e.value(v), node.meta["val"].dtype) for v in values)
    return op.select(e.cast(e.value(condition), torch.bool), yes, no)


@rule(aten._to_copy.default, aten.to.dtype)  # noqa: SLF001 (an operator's name)
def to_dtype(e: Emitter, node: Any) -> Any:
    """The value as another dtype; bool is whether it differs from zero."""
    return e.cast(e.value(node.args[0]), node.meta["val"].dtype)
