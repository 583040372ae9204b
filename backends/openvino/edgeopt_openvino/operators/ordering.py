"""The largest and the smallest values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openvino.opset13 as op
import torch

from edgeopt.lowering import NoRuleError
from edgeopt_openvino import constants
from edgeopt_openvino.operator_rules import rule

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.topk.default)
def topk(e: Emitter, node: Any) -> tuple[Any, ...]:
    """Values and places; of equal values the first comes first."""
    arguments: list[Any] = [*node.args, *(-1, True, True)[len(node.args) - 2 :]]
    source, count, axis, largest, _ = arguments
    if not source.meta["val"].ndim:
        raise NoRuleError("a scalar has no order: it is its own largest value, at place 0")
    mode = "max" if largest else "min"
    result = op.topk(
        e.value(source),
        op.constant(int(count), constants.element_type(torch.int64)),
        int(axis),
        mode,
        "value",
        index_element_type="i64",
        stable=True,
    )
    result.set_friendly_name(node.name)
    return result.output(0), result.output(1)
