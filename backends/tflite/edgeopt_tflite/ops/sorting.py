"""The largest values along a dimension, in their order, and where they are."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.lowering import NoRuleError
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import cast
from edgeopt_tflite.values import Copy

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@lowers(aten.topk.default)
def _topk(e: Emitter, node: torch.fx.Node) -> None:
    """Values and places. TOPK_V2 knows the largest along the last dimension: others are negated."""
    arguments: list[Any] = [*node.args, *(-1, True, True)[len(node.args) - 2 :]]
    count, axis, largest = int(arguments[1]), int(arguments[2]), bool(arguments[3])
    value = e.operand(node)
    rank = len(value.shape)
    order = (*(d for d in range(rank) if d != axis % rank), axis % rank)
    tensor = e.read(value, order).tensor
    shape = (*tensor.shape[:-1], count)
    ranked = tensor if largest else e.emit("NEG", [tensor], tensor.shape, "Neg", dtype=tensor.dtype)
    values, places = e.emit_several(
        "TOPK_V2",
        [ranked, e.scalar(count, "int32")],
        [(shape, tensor.dtype), (shape, "int32")],
        "TopKV2",
    )
    if not largest:
        values = e.emit("NEG", [values], shape, "Neg", dtype=tensor.dtype)
    e.results[node.name] = (Copy(values, order), Copy(cast(e, places, "int64"), order))


@lowers(operator.getitem)
def _part(e: Emitter, node: torch.fx.Node) -> None:
    """One of several results, each a tensor that was written with the others."""
    source: Any = node.args[0]
    if source.name not in e.results:
        raise NoRuleError(f"{source.name}, of which it is a part, is not written")
    part = e.results[source.name][int(node.args[1])]  # type: ignore[arg-type]
    e.write(node, part.tensor, part.order)
