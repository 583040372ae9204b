"""Element by element: arithmetic, comparisons, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import tirx

from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.elementwise import elementwise
from edgeopt_tvm.operators.tables import chained, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

Rule = "Callable[[Emitter, torch.fx.Node], None]"


def _binary(function: Callable[[Any, Any], Any], *, apart: bool = False) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        if not chained(e, node):
            dtype = _computed(e.dtype(node))
            elementwise(e, node, function, node.args[:2], dtype=dtype, apart=apart)

    return emit


def _comparison(function: Callable[[Any, Any], Any]) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        elementwise(e, node, function, node.args[:2], dtype=_common(node))

    return emit


def _common(node: Any) -> str:
    """Returns the dtype in which torch compares both operands."""
    left, right = (a.meta["val"] if isinstance(a, torch.fx.Node) else a for a in node.args[:2])
    return _computed(str(torch.result_type(left, right)).removeprefix("torch."))


def _computed(dtype: str) -> str:
    """Returns what numbers of ``dtype`` are computed with: TVM cannot add or compare truth values."""
    return "int32" if dtype == "bool" else dtype


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


rule(aten.add.Tensor)(_binary(lambda a, b: a + b, apart=True))
rule(aten.sub.Tensor)(_binary(lambda a, b: a - b, apart=True))
rule(aten.mul.Tensor)(_binary(lambda a, b: a * b))
rule(aten.div.Tensor)(_binary(lambda a, b: a / b))
rule(aten.maximum.default)(_binary(tirx.max))
rule(aten.minimum.default)(_binary(tirx.min))
rule(aten.pow.Tensor_Scalar, aten.pow.Tensor_Tensor)(_binary(tirx.pow))

rule(aten.eq.Tensor, aten.eq.Scalar)(_comparison(tirx.EQ))
rule(aten.ne.Tensor, aten.ne.Scalar)(_comparison(tirx.NE))
rule(aten.lt.Tensor, aten.lt.Scalar)(_comparison(tirx.LT))
rule(aten.le.Tensor, aten.le.Scalar)(_comparison(tirx.LE))
rule(aten.gt.Tensor, aten.gt.Scalar)(_comparison(tirx.GT))
rule(aten.ge.Tensor, aten.ge.Scalar)(_comparison(tirx.GE))

rule(aten.logical_and.default)(_logical(tirx.And))
rule(aten.logical_or.default)(_logical(tirx.Or))
rule(aten.logical_not.default)(_logical(tirx.Not))

rule(aten.neg.default)(_unary(lambda x: scalars.number(0, scalars.kind_of(x)) - x))
rule(aten.abs.default)(_unary(tirx.abs))
rule(aten.exp.default)(_unary(tirx.exp))
rule(aten.log.default)(_unary(tirx.log))
rule(aten.sqrt.default)(_unary(tirx.sqrt))
rule(aten.erf.default)(_unary(tirx.erf))
rule(aten.sin.default)(_unary(tirx.sin))
rule(aten.cos.default)(_unary(tirx.cos))
rule(aten.floor.default)(_unary(tirx.floor))
rule(aten.ceil.default)(_unary(tirx.ceil))
rule(aten.round.default)(_unary(tirx.nearbyint))
rule(aten.reciprocal.default)(_unary(_reciprocal))
rule(aten.rsqrt.default)(_unary(lambda x: _reciprocal(tirx.sqrt(x))))


@rule(aten.where.self)
def where(e: Emitter, node: Any) -> None:
    """The second where the first is true, else the third."""
    elementwise(e, node, lambda c, a, b: tirx.Select(scalars.widened(c, "bool"), a, b), node.args)


@rule(aten._to_copy.default, aten.to.dtype)  # noqa: SLF001 (an operator's name)
def to_dtype(e: Emitter, node: Any) -> None:
    """The value as another dtype; bool is whether it differs from zero."""
    source = node.args[0]
    elementwise(
        e, node, lambda x: scalars.widened(x, e.dtype(node)), [source], dtype=e.dtype(source)
    )
