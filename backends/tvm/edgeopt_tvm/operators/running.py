"""Running sums and their like: each number is made of those before it along an axis."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators import reducers
from edgeopt_tvm.operators.arguments import Source, arguments, computed, replaced
from edgeopt_tvm.operators.keys import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_SHORT = 64
"""Numbers along an axis of which each is made of all before it; more are taken in blocks."""


@rule(aten.cumsum.default)
def cumsum(e: Emitter, node: Any) -> None:
    """The sum of all numbers up to each."""
    _running(e, node, te.sum, lambda a, b: a + b, 0)


@rule(aten.cumprod.default)
def cumprod(e: Emitter, node: Any) -> None:
    """The product of all numbers up to each."""
    _running(e, node, reducers.product, lambda a, b: a * b, 1)


def _running(
    e: Emitter,
    node: Any,
    reduce: Callable[..., Any],
    join: Callable[[Any, Any], Any],
    neutral: int,
) -> None:
    a, kind = arguments(node), e.dtype(node)
    source = Source(e, a["self"], kind)
    if not source.shape:
        e.put(node, computed(e, "copy", (), source.at, source.expr))
        return
    axis = int(a["dim"]) % len(source.shape)
    size = source.shape[axis]
    block = size if size <= _SHORT else isqrt(size - 1) + 1
    nothing = scalars.number(neutral, kind)

    def whole(tensor: Any, index: list[Any]) -> Any:
        """Of one block, all of it."""
        r = te.reduce_axis((0, block), name="r")
        place = index[axis] * block + r
        number = source.at(tensor, replaced(index, axis, place))
        return reduce(tirx.if_then_else(place < size, number, nothing), axis=r)

    def within(tensor: Any, index: list[Any]) -> Any:
        """Of the block, up to the number."""
        r = te.reduce_axis((0, block), name="r")
        place = tirx.floordiv(index[axis], block) * block + r
        number = source.at(tensor, replaced(index, axis, place))
        return reduce(tirx.if_then_else(place <= index[axis], number, nothing), axis=r)

    result = computed(e, "running", source.shape, within, source.expr)
    if block < size:
        count = -(-size // block)
        blocks = computed(e, "blocks", replaced(source.shape, axis, count), whole, source.expr)

        def before(tensor: Any, index: list[Any]) -> Any:
            r = te.reduce_axis((0, count), name="r")
            number = tensor(*replaced(index, axis, r))
            return reduce(tirx.if_then_else(r < index[axis], number, nothing), axis=r)

        totals = computed(e, "before", replaced(source.shape, axis, count), before, blocks)

        def both(own: Any, total: Any, index: list[Any]) -> Any:
            place = tirx.floordiv(index[axis], block)
            return join(total(*replaced(index, axis, place)), own(*index))

        result = computed(e, "running", source.shape, both, result, totals)
    e.put(node, result)


@rule(aten.cummax.default)
def cummax(e: Emitter, node: Any) -> None:
    """The largest number up to each, and where it is last."""
    _extreme(e, node, backwards=False)


@rule(aten.cummin.default)
def cummin(e: Emitter, node: Any) -> None:
    """The smallest number up to each, and where it is last."""
    _extreme(e, node, backwards=True)


def _extreme(e: Emitter, node: Any, *, backwards: bool) -> None:
    a = arguments(node)
    source = Source(e, a["self"])
    if not source.shape:
        raise NoRuleError("a scalar has nothing before it: it is its own largest value, at place 0")
    axis = int(a["dim"]) % len(source.shape)
    size = source.shape[axis]
    ordered = keys(e, a["self"], backwards=backwards, nan_last=True)

    def greatest(key: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        return te.max(key(*replaced(index, axis, tirx.min(r, index[axis]))), axis=r)

    best = computed(e, "greatest", source.shape, greatest, ordered)

    def last(key: Any, best: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        here = tirx.all(r <= index[axis], key(*replaced(index, axis, r)) == best(*index))
        return te.max(tirx.Select(here, r, tirx.const(0, "int32")), axis=r)

    places = computed(e, "last", source.shape, last, ordered, best)

    def value(tensor: Any, place: Any, index: list[Any]) -> Any:
        return source.at(tensor, replaced(index, axis, place(*index)))

    def wide(place: Any, index: list[Any]) -> Any:
        return place(*index).astype("int64")

    e.put_parts(
        node,
        [
            computed(e, "taken", source.shape, value, source.expr, places),
            computed(e, "widened", source.shape, wide, places),
        ],
    )


@rule(aten.logcumsumexp.default)
def logcumsumexp(e: Emitter, node: Any) -> None:
    """The logarithm of the sum of the exponentials up to each."""
    a = arguments(node)
    source = Source(e, a["self"])
    if not source.shape:
        e.put(node, computed(e, "copy", (), source.at, source.expr))
        return
    axis = int(a["dim"]) % len(source.shape)
    size, kind = source.shape[axis], source.dtype

    def greatest(tensor: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        place = tirx.min(r, index[axis])
        return reducers.largest(source.at(tensor, replaced(index, axis, place)), axis=r)

    best = computed(e, "greatest", source.shape, greatest, source.expr)
    largest = float(torch.finfo(getattr(torch, kind)).max)

    def base(best: Any, index: list[Any]) -> Any:
        """What is taken out of the exponent: finite, so that infinities stay what they are."""
        return scalars.clipped(best(*index), -largest, largest)

    def total(tensor: Any, best: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        number = tirx.exp(source.at(tensor, replaced(index, axis, r)) - base(best, index))
        return te.sum(tirx.if_then_else(r <= index[axis], number, tirx.const(0, kind)), axis=r)

    totals = computed(e, "totals", source.shape, total, source.expr, best)

    def at(total: Any, best: Any, index: list[Any]) -> Any:
        # exp of -inf is not quite 0: of nothing but -inf the logarithm is said here.
        nothing = best(*index) < scalars.number(-largest, kind)
        return tirx.Select(nothing, best(*index), tirx.log(total(*index)) + base(best, index))

    e.put(node, computed(e, "logarithms", source.shape, at, totals, best))
