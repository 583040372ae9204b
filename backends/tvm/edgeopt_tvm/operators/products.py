"""Matrix products and attention."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt.ir.masks import may_hide_rows
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import kernels, scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.normalization import softmax_of
from edgeopt_tvm.operators.weighted import weighted_operator_of

if TYPE_CHECKING:
    from edgeopt.ir.orders import Shape
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.values import Value

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.linear.default)
def linear(e: Emitter, node: Any) -> None:
    """X times the transposed weight, plus the bias."""
    operator = weighted_operator_of(e, node)
    value = e.value(node.args[0])
    if not value.shape:
        raise NoRuleError("a linear of a scalar")
    last = len(value.shape) - 1
    order = e.read(value, real=operator.grid is None).order
    order = orders.with_last(order, last)
    storage = e.read(value, order, real=operator.grid is None)
    data = e.shaped(storage.expr, (math.prod(value.shape[:-1]), value.shape[-1]))
    weight = operator.weight
    sums = [
        kernels.dense(e.builder, data, weight[:, first:end], e.machine, first=first)
        for first, end in operator.parts
    ]
    operator.finish(e, sums, order)


@rule(aten.matmul.default)
def matmul(e: Emitter, node: Any) -> None:
    """The product of the last two axes; those in front broadcast."""
    left, right = (e.value(a) for a in node.args[:2])
    shape = e.shape(node)
    if min(len(left.shape), len(right.shape)) < 2 or e.dtype(node) != "float32":  # noqa: PLR2004
        raise NoRuleError("a product of vectors, or of another dtype than float32")
    product = _product(e, left, right, shape)
    e.put(node, e.shaped(product, shape))


def _product(e: Emitter, left: Value, right: Value, shape: Shape) -> Any:
    """Returns the product, (batch, rows, columns)."""
    rows, columns = shape[-2:]
    batch, inner = shape[:-2], left.shape[-1]
    a = e.shaped(_spread(e, left, batch), (math.prod(batch), rows, inner))
    b = e.shaped(_spread(e, right, batch), (math.prod(batch), inner, columns))
    return kernels.matmul(e.builder, a, b, e.machine)


def _spread(e: Emitter, value: Value, batch: Shape) -> Any:
    """Returns a matrix of real numbers for each place of ``batch``."""
    matrix = e.read(value, orders.identity(len(value.shape)), real=True).expr
    own, tail = value.shape[:-2], value.shape[-2:]
    if math.prod(own) == math.prod(batch):
        return matrix
    own = (1,) * (len(batch) - len(own)) + own
    matrix = e.shaped(matrix, (*own, *tail))

    def compute(tensor: te.Tensor) -> te.Tensor:
        return te.compute(
            (*batch, *tail),
            lambda *i: tensor(
                *(0 if n == 1 else at for at, n in zip(i, own, strict=False)), *i[len(batch) :]
            ),
            name="spread",
        )

    return e.te("expand", compute, matrix)


@rule(aten.scaled_dot_product_attention.default)
def attention(e: Emitter, node: Any) -> None:
    """softmax(q k^T * scale + mask) v."""
    names = ("attn_mask", "dropout_p", "is_causal")
    arguments = {**dict(zip(names, node.args[3:], strict=False)), **node.kwargs}
    if arguments.get("dropout_p"):
        raise NoRuleError("attention with dropout")
    query, key, value = (e.value(a) for a in node.args[:3])
    same = query.shape[:-2] == key.shape[:-2] == value.shape[:-2]
    if not same or e.dtype(node) != "float32":
        raise NoRuleError("attention with grouped heads, or of another dtype than float32")
    *batch, rows, inner = query.shape
    columns, count = key.shape[-2], math.prod(batch)
    rank = len(key.shape)
    turned = (*range(rank - 2), rank - 1, rank - 2)
    a = e.shaped(e.read(query, orders.identity(rank), real=True).expr, (count, rows, inner))
    b = e.shaped(e.read(key, turned, real=True).expr, (count, inner, columns))
    scores = kernels.matmul(e.builder, a, b, e.machine)
    scale = arguments.get("scale")
    factor = 1 / math.sqrt(inner) if scale is None else float(scale)
    scores = _masked(e, e.shaped(scores, (*batch, rows, columns)), arguments, factor)
    scores = e.shaped(scores, (count, rows, columns))
    weights = softmax_of(e, scores)
    mask = arguments.get("attn_mask")
    if mask is not None and may_hide_rows(mask, e.program.constants):
        weights = _without_unseen(e, weights, scores)
    last = e.read(value, orders.identity(rank), real=True).expr
    output = kernels.matmul(
        e.builder, weights, e.shaped(last, (count, columns, value.shape[-1])), e.machine
    )
    e.put(node, e.shaped(output, e.shape(node)))


def _masked(e: Emitter, scores: Any, given: dict[str, Any], scale: float) -> Any:
    """Writes the scores times ``scale``, with what no query may see taken out."""
    mask, causal = given.get("attn_mask"), bool(given.get("is_causal"))
    shape = tuple(int(d) for d in scores.ty.shape)
    operands = [] if mask is None else [_mask(e, e.value(mask), len(shape))]

    def compute(tensor: te.Tensor, *masks: te.Tensor) -> te.Tensor:
        def at(*index: Any) -> Any:
            score = tensor(*index) * scalars.f32(scale)
            for operand in masks:
                places = zip(index, operand.shape, shape, strict=True)
                score = _seen(score, operand(*(0 if int(n) == 1 != m else i for i, n, m in places)))
            return tirx.Select(index[-1] <= index[-2], score, _unseen()) if causal else score

        return te.compute(shape, at, name="masked")

    return e.te("mask", compute, scores, *operands, pattern="elementwise")


def _mask(e: Emitter, value: Value, rank: int) -> Any:
    storage = e.read(value, orders.identity(len(value.shape)), real=True)
    return e.shaped(storage.expr, (1,) * (rank - len(value.shape)) + value.shape)


def _seen(score: Any, mask: Any) -> Any:
    """Returns ``score`` where a mask of bool lets it through, or with one of floats added."""
    if scalars.kind_of(mask) == "bool":
        return tirx.Select(mask, score, _unseen())
    sum_ = score + scalars.widened(mask, "float32")
    return tirx.Select(sum_ < scalars.f32(_FLOAT_MIN), _unseen(), tirx.max(sum_, scalars.f32(_LOW)))


def _without_unseen(e: Emitter, weights: Any, scores: Any) -> Any:
    """Puts 0 where nothing is to be seen: what a row shares out that is hidden whole."""
    shape = tuple(int(d) for d in scores.ty.shape)

    def compute(shares: te.Tensor, seen: te.Tensor) -> te.Tensor:
        def at(*index: Any) -> Any:
            hidden = seen(*index) < scalars.f32((_LOW + _UNSEEN) / 2)
            return tirx.Select(hidden, scalars.f32(0.0), shares(*index))

        return te.compute(shape, at, name="seen")

    return e.te("hide", compute, weights, scores, pattern="elementwise")


_FLOAT_MIN = -3.4028234e38
_LOW, _UNSEEN = -3.0e38, -3.3e38
"""The lowest score that is still seen, and that of what is not. Differences of both are numbers."""


def _unseen() -> Any:
    """Returns a score so low that its share is zero; a difference of two of it is a number."""
    return scalars.f32(_UNSEEN)
