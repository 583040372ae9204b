"""Attention: as OpenVINO's operator, or spelled where its products may run on integers, or where that operator is wrong.

OpenVINO spells its operator itself when it compiles it, scales the queries and turns the keys around in a step of its
own. The scale behind the product leaves integers to the product, and the product reads keys as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op
import torch

from edgeopt.ir.masks import may_hide_rows
from edgeopt.lowering import NoRuleError
from edgeopt_openvino import constants, parameters
from edgeopt_openvino.heads import scores_bytes_wrong
from edgeopt_openvino.operator_rules import rule
from edgeopt_openvino.snippets import apart

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__ = ["values_of_heads"]

aten = torch.ops.aten

_LOWEST = np.finfo(np.float32).min
_HIDDEN = np.float32(-1e30)
"""Added to any score it leaves itself, and a difference of two of it is a number."""


@dataclass(frozen=True)
class _Scores:
    """What is done to the products of queries and keys in front of the softmax.

    Attributes:
        scale: What they are multiplied by; None for the root of the width.
        mask: What is added, or truth values of which are seen; None for none.
        causal: Whether keys behind a query are hidden from it.
    """

    scale: float | None
    mask: Any
    causal: bool


@rule(aten.scaled_dot_product_attention.default)
def attention(e: Emitter, node: Any) -> Any:
    """softmax(q k^T * scale + mask) v."""
    names = ("attn_mask", "dropout_p", "is_causal")
    arguments = {**dict(zip(names, node.args[3:], strict=False)), **node.kwargs}
    if arguments.get("dropout_p"):
        raise NoRuleError("attention with dropout")
    mask = arguments.get("attn_mask")
    visible, hidden = (None, None) if mask is None else _seen(e, mask)
    scores = _Scores(arguments.get("scale"), visible, bool(arguments.get("is_causal")))
    spelled = _multiplies_integers(e, node) or _is_turned_for_others(node)
    write = _spelled if spelled else _whole
    mixed = apart(e, node, write(e, node, scores))
    return mixed if hidden is None else op.select(hidden, constants.array(torch.zeros(1)), mixed)


def _multiplies_integers(e: Emitter, node: Any) -> bool:
    """Returns whether queries and keys are bytes without zero points, whose products neither saturate nor are wrong."""
    specs = [e.program.quant.get(factor.name) for factor in node.args[:2]]
    on_bytes = all(parameters.on_integers(e.program, factor) for factor in node.args[:2])
    fails = e.saturates or scores_bytes_wrong(node)
    return on_bytes and not fails and not any(int(s.zero_point[0]) for s in specs if s)


def _whole(e: Emitter, node: Any, scores: _Scores) -> Any:
    """Returns OpenVINO's own operator."""
    scale = scores.scale
    keys, values = parameters.second_factor(e, node), e.value(node.args[2])
    return op.scaled_dot_product_attention(
        e.value(node.args[0]),
        _for_each_query(node, 1, keys),
        _for_each_query(node, 2, values),
        attention_mask=scores.mask,
        scale=None if scale is None else op.constant(scale, constants.element_type(torch.float32)),
        causal=scores.causal,
    )


def _is_turned_for_others(node: Any) -> bool:
    """Returns whether keys are permuted, and read as queries, values, or by others too.

    OpenVINO's own operator turns keys around, joins that with the permute, and gives it to all that read it.
    """
    key = node.args[1]
    others = len(key.users) > 1 or key in (node.args[0], node.args[2])
    return key.target is aten.permute.default and others


def _spelled(e: Emitter, node: Any, scores: _Scores) -> Any:
    """Returns two products and a softmax, which the plugin makes one kernel of again."""
    query, _, value = node.args[:3]
    scale = scores.scale
    if scale is None:
        scale = 1 / math.sqrt(query.meta["val"].shape[-1])
    keys = _for_each_query(node, 1, parameters.second_factor(e, node))
    values = _for_each_query(node, 2, values_of_heads(e, value))
    product = op.matmul(e.value(query), keys, False, True)  # noqa: FBT003 (transposes)
    product = op.multiply(product, op.constant(np.float32(scale)))
    for bias in _biases(node, scores):
        product = op.add(product, bias)
    return op.matmul(op.softmax(product, -1), values, False, False)  # noqa: FBT003 (transposes)


def _for_each_query(node: Any, at: int, value: Any) -> Any:
    """Returns ``value``, keys or values of ``node``, with each head as often as heads of queries share it."""
    if not node.kwargs.get("enable_gqa"):
        return value
    queries, heads = (int(node.args[one].meta["val"].shape[-3]) for one in (0, at))
    indices = [head // (queries // heads) for head in range(queries)]
    axis = node.args[at].meta["val"].ndim - 3
    return op.gather(value, constants.numbers(indices), constants.numbers(axis))


def values_of_heads(e: Emitter, node: Any) -> Any:
    """Returns the values of an attention, as float32 before they are permuted: the kernel reads real numbers where they lie."""
    if node.target is not aten.permute.default or not parameters.on_integers(e.program, node):
        return e.value(node)
    real = parameters.unfused(e.value(node.args[0]))
    return op.transpose(real, constants.numbers([int(axis) for axis in node.args[1]]))


def _biases(node: Any, scores: _Scores) -> list[Any]:
    """Returns what is added to scores: 0 where they are seen, else a large negative number."""
    biases = []
    if scores.mask is not None:
        mask = scores.mask
        real = mask.get_element_type().is_real()
        # What shuts a place is large: joined with the sums behind it, it would round all scores away.
        biases.append(parameters.unfused(mask) if real else op.select(mask, np.float32(0), _HIDDEN))
    if scores.causal:
        rows, columns = (int(one.meta["val"].shape[-2]) for one in node.args[:2])
        biases.append(op.constant(np.triu(np.full((rows, columns), _HIDDEN), 1)))
    return biases


def _seen(e: Emitter, mask: Any) -> tuple[Any, Any]:
    """Returns the mask, open where it hides a whole row, and which rows these are.

    OpenVINO answers NaN there, torch 0.
    """
    value = e.value(mask)
    if not may_hide_rows(mask, e.program.constants):
        return value, None
    last = constants.numbers([-1])
    if mask.meta["val"].dtype is torch.bool:
        hidden = op.logical_not(op.reduce_logical_or(value, last, True))  # noqa: FBT003 (keeps it)
        return op.logical_or(value, hidden).output(0), hidden
    shut = op.less(value, np.array(_LOWEST, np.float32))
    hidden = op.reduce_logical_and(shut, last, True)  # noqa: FBT003 (keeps the axis)
    return op.select(hidden, constants.array(torch.zeros(1)), value).output(0), hidden
