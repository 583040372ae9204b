"""Comparisons, logic, and the choice between two values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import orders
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import aligned, cast

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_COMPARISONS = {
    "eq": ("EQUAL", "Equal"),
    "ne": ("NOT_EQUAL", "NotEqual"),
    "lt": ("LESS", "Less"),
    "le": ("LESS_EQUAL", "LessEqual"),
    "gt": ("GREATER", "Greater"),
    "ge": ("GREATER_EQUAL", "GreaterEqual"),
}
_COMPARE: dict[Any, tuple[str, str]] = {
    getattr(getattr(aten, name), overload): codes
    for name, codes in _COMPARISONS.items()
    for overload in ("Tensor", "Scalar")
}
_LOGIC: dict[Any, tuple[str, str]] = {
    aten.logical_and.default: ("LOGICAL_AND", "LogicalAnd"),
    aten.logical_or.default: ("LOGICAL_OR", "LogicalOr"),
    aten.logical_xor.default: ("NOT_EQUAL", "NotEqual"),
    aten.bitwise_and.Tensor: ("LOGICAL_AND", "LogicalAnd"),
    aten.bitwise_or.Tensor: ("LOGICAL_OR", "LogicalOr"),
    aten.bitwise_xor.Tensor: ("NOT_EQUAL", "NotEqual"),
    aten.__and__.Tensor: ("LOGICAL_AND", "LogicalAnd"),
    aten.__or__.Tensor: ("LOGICAL_OR", "LogicalOr"),
}
_NOT = (aten.logical_not.default, aten.bitwise_not.default)


@lowers(*_COMPARE)
def _compare(e: Emitter, node: torch.fx.Node) -> None:
    code, options = _COMPARE[node.target]
    kind = str(torch.result_type(*(_sample(a) for a in node.args[:2]))).removeprefix("torch.")
    _binary(e, node, (code, options), kind)


def _sample(value: Any) -> Any:
    return value.meta["val"] if isinstance(value, torch.fx.Node) else value


def _only_bool(_: Emitter, node: torch.fx.Node) -> str:
    kinds = {str(n.meta["val"].dtype).removeprefix("torch.") for n in node.all_input_nodes}
    return "" if kinds == {"bool"} else f"logic on {', '.join(sorted(kinds))}, not bool"


@lowers(*_LOGIC, refusal=_only_bool)
def _logic(e: Emitter, node: torch.fx.Node) -> None:
    _binary(e, node, _LOGIC[node.target], "bool")


@lowers(*_NOT, refusal=_only_bool)
def _not(e: Emitter, node: torch.fx.Node) -> None:
    operand = e.read(e.operand(node))
    output = e.emit(
        "LOGICAL_NOT", [operand.tensor], operand.tensor.shape, "LogicalNot", dtype="bool"
    )
    e.write(node, output, operand.order)


def _binary(e: Emitter, node: torch.fx.Node, codes: tuple[str, str], kind: str) -> None:
    shape = e.shape(node)
    tensors, order = aligned(e, node.args[:2], shape, dtype=kind)
    tensors = [cast(e, t, kind) for t in tensors]
    stored = orders.stored_shape(shape, order)
    e.write(node, e.emit(codes[0], tensors, stored, codes[1], dtype="bool"), order)


@lowers(aten.where.self)
def _where(e: Emitter, node: torch.fx.Node) -> None:
    shape, dtype = e.shape(node), e.dtype(node)
    tensors, order = aligned(e, node.args[:3], shape, dtype=dtype)
    mask, branches = cast(e, tensors[0], "bool"), [cast(e, t, dtype) for t in tensors[1:]]
    stored = orders.stored_shape(shape, order)
    e.write(node, e.emit("SELECT_V2", [mask, *branches], stored, "SelectV2", dtype=dtype), order)
