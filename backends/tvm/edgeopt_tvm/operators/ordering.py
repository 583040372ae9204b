"""Sorted values, and what is chosen by rank: each number's rank is how many others come before it.

Ranks are counted for all numbers at once, which runs in vectors and threads, and the order of equal
ones is theirs in memory: sorting is stable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt.lowering import NoRuleError
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.arguments import Source, arguments, computed, replaced
from edgeopt_tvm.operators.keys import LAST, keys

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_LONGEST = 1 << 16
"""Numbers along an axis that are compared each with each."""


@rule(aten.sort.default)
def sort(e: Emitter, node: Any) -> None:
    """All numbers along an axis in order, and where they were."""
    a = arguments(node)
    _ranked(e, node, a["dim"], backwards=bool(a["descending"]))


@rule(aten.topk.default)
def topk(e: Emitter, node: Any) -> None:
    """The largest or the smallest numbers along an axis, in order, and where they were."""
    a = arguments(node)
    _ranked(e, node, a["dim"], count=int(a["k"]), backwards=bool(a["largest"]))


@rule(aten.kthvalue.default)
def kthvalue(e: Emitter, node: Any) -> None:
    """The number of one rank along an axis, and where it was."""
    a = arguments(node)
    _chosen(e, node, a["dim"], rank=int(a["k"]) - 1)


@rule(aten.median.dim)
def median(e: Emitter, node: Any) -> None:
    """The lower of the two middle numbers along an axis, NaN where one is, and where it was."""
    _chosen(e, node, arguments(node)["dim"])


@rule(aten.median.default)
def median_of_all(e: Emitter, node: Any) -> None:
    """The lower of the two middle numbers, NaN where one is."""
    source = node.args[0]
    size = e.size(e.shape(source))
    ordered = keys(e, source)
    flat = e.shaped(ordered, (size,))
    place = _middle(e, flat, 0, _ranks(e, flat, 0))
    value = Source(e, source)

    def at(tensor: Any, place: Any, _: list[Any]) -> Any:
        return value.at(tensor, _unravelled(place(0), value.shape))

    e.put(node, computed(e, "median", (), at, value.expr, place))


@rule(aten.max.dim)
def largest(e: Emitter, node: Any) -> None:
    """The largest number along an axis, NaN where one is, and where it is first."""
    _extreme(e, node, backwards=False)


@rule(aten.min.dim)
def smallest(e: Emitter, node: Any) -> None:
    """The smallest number along an axis, NaN where one is, and where it is first."""
    _extreme(e, node, backwards=True)


def _ranked(e: Emitter, node: Any, dim: int, *, count: int | None = None, backwards: bool) -> None:
    """Puts the first ``count`` numbers in order, and their places."""
    source = node.args[0]
    if not e.shape(source):
        raise NoRuleError("a scalar has no order: it is its own largest value, at place 0")
    axis, size = _axis(e, source, dim)
    places = _places(e, source, axis, size if count is None else count, backwards=backwards)
    e.put_parts(node, [_taken(e, source, axis, places), _wide(e, places)])


def _chosen(e: Emitter, node: Any, dim: int, rank: int | None = None) -> None:
    """Puts the number of a rank, of the middle by default, and its place."""
    source, shape = node.args[0], tuple(int(d) for d in node.meta["val"][0].shape)
    if not e.shape(source):
        raise NoRuleError("a scalar has no order: it is its own median, at place 0")
    axis, _ = _axis(e, source, dim)
    ordered = keys(e, source)
    ranks = _ranks(e, ordered, axis)
    if rank is None:
        places = _middle(e, ordered, axis, ranks)
    else:
        places = _places_of(e, ranks, axis, 1, first=rank)
    parts = [_taken(e, source, axis, places), _wide(e, places)]
    e.put_parts(node, [e.shaped(part, shape) for part in parts])


def _extreme(e: Emitter, node: Any, *, backwards: bool) -> None:
    source, shape = node.args[0], tuple(int(d) for d in node.meta["val"][0].shape)
    if not e.shape(source):
        raise NoRuleError("a scalar has no order: it is its own largest value, at place 0")
    axis, size = _axis(e, source, arguments(node)["dim"])
    ordered = keys(e, source, backwards=backwards, nan_last=True)
    one = replaced(e.shape(source), axis, 1)

    def greatest(key: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        return te.max(key(*replaced(index, axis, r)), axis=r)

    best = computed(e, "greatest", one, greatest, ordered)

    def first(key: Any, best: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        here = key(*replaced(index, axis, r)) == best(*index)
        return te.min(tirx.Select(here, r, tirx.const(size - 1, "int32")), axis=r)

    places = computed(e, "first", one, first, ordered, best)
    parts = [_taken(e, source, axis, places), _wide(e, places)]
    e.put_parts(node, [e.shaped(part, shape) for part in parts])


def _axis(e: Emitter, node: Any, dim: int) -> tuple[int, int]:
    """Returns an axis and its length.

    Raises:
        NoRuleError: It is too long.
    """
    shape = e.shape(node)
    axis = int(dim) % max(len(shape), 1)
    size = shape[axis] if shape else 1
    if size > _LONGEST:
        raise NoRuleError(
            f"{size} numbers along an axis are too many to put in order (at most {_LONGEST}): "
            "order them after the model, or reduce them before"
        )
    return axis, size


def _ranks(e: Emitter, ordered: Any, axis: int) -> Any:
    """Returns how many numbers along the axis come before each."""
    shape = [int(d) for d in ordered.ty.shape]

    def at(key: Any, index: list[Any]) -> Any:
        own, place = key(*index), index[axis]
        r = te.reduce_axis((0, shape[axis]), name="r")
        other = key(*replaced(index, axis, r))
        before = tirx.any(other < own, tirx.all(other == own, r < place))
        return te.sum(tirx.Select(before, tirx.const(1, "int32"), tirx.const(0, "int32")), axis=r)

    return computed(e, "ranks", shape, at, ordered)


def _places_of(e: Emitter, ranks: Any, axis: int, count: int, first: int = 0) -> Any:
    """Returns where the numbers of ``count`` ranks from ``first`` on are."""
    shape = [int(d) for d in ranks.ty.shape]

    def at(rank: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, shape[axis]), name="r")
        here = rank(*replaced(index, axis, r)) == index[axis] + first
        return te.sum(tirx.Select(here, r, tirx.const(0, "int32")), axis=r)

    return computed(e, "places", replaced(shape, axis, count), at, ranks)


def _places(e: Emitter, source: Any, axis: int, count: int, *, backwards: bool) -> Any:
    if not e.shape(source):
        return computed(e, "places", (), lambda _: tirx.const(0, "int32"))
    return _places_of(e, _ranks(e, keys(e, source, backwards=backwards), axis), axis, count)


def _middle(e: Emitter, ordered: Any, axis: int, ranks: Any) -> Any:
    """Returns where the lower middle number is, or the first NaN: floats have int32 keys, NaN the greatest."""
    shape = [int(d) for d in ordered.ty.shape]
    size = shape[axis]

    def count(key: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        is_nan = key(*replaced(index, axis, r)) == LAST
        return te.sum(tirx.Select(is_nan, tirx.const(1, "int32"), tirx.const(0, "int32")), axis=r)

    one = replaced(shape, axis, 1)
    counts = computed(e, "counted", one, count, ordered)

    def at(rank: Any, counts: Any, index: list[Any]) -> Any:
        r = te.reduce_axis((0, size), name="r")
        missing = counts(*index)
        place = tirx.Select(missing > 0, size - missing, tirx.const((size - 1) // 2, "int32"))
        here = rank(*replaced(index, axis, r)) == place
        return te.sum(tirx.Select(here, r, tirx.const(0, "int32")), axis=r)

    return computed(e, "middle", one, at, ranks, counts)


def _taken(e: Emitter, source: Any, axis: int, places: Any) -> Any:
    """Returns the numbers at ``places`` along an axis."""
    value = Source(e, source)

    def at(tensor: Any, place: Any, index: list[Any]) -> Any:
        if not value.shape:
            return value.at(tensor, [])
        return value.at(tensor, replaced(index, axis, place(*index)))

    return computed(e, "taken", [int(d) for d in places.ty.shape], at, value.expr, places)


def _wide(e: Emitter, places: Any) -> Any:
    """Returns places as torch's int64."""
    shape = [int(d) for d in places.ty.shape]

    def at(place: Any, index: list[Any]) -> Any:
        return place(*(index or [0])).astype("int64")

    return computed(e, "widened", shape, at, e.shaped(places, shape or (1,)))


def _unravelled(place: Any, shape: tuple[int, ...]) -> list[Any]:
    index = []
    for size in shape[::-1]:
        index.append(tirx.floormod(place, size))
        place = tirx.floordiv(place, size)
    return index[::-1]
