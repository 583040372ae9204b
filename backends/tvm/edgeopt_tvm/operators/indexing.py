"""Numbers that others choose: read and written where integers say, never beside the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import te, tirx

from edgeopt.contracts.storage import FLOAT16, UINT8
from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators import reducers
from edgeopt_tvm.operators.arguments import Source, arguments, computed, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


def _within(place: Any, size: int) -> Any:
    """Returns a place that exists: counted from the end where negative, the nearest end beyond."""
    place = place.astype("int64")
    place = tirx.Select(place < 0, place + size, place)
    return tirx.max(tirx.min(place, tirx.const(size - 1, "int64")), tirx.const(0, "int64"))


@rule(aten.gather.default)
def gather(e: Emitter, node: Any) -> None:
    """Along one axis, the number that an integer at each place chooses."""
    a = arguments(node)
    index = Source(e, a["index"])
    shape = e.shape(a["self"])
    axis = int(a["dim"]) % max(len(shape), 1)

    def at(place: Callable[[list[Any]], Any], i: list[Any]) -> list[Any]:
        return replaced(i, axis, _within(place(i), shape[axis])) if shape else []

    _read(e, node, [index], lambda places, i: at(places[0], i))


@rule(aten.index.Tensor)
def index(e: Emitter, node: Any) -> None:
    """Along some axes, what integers choose, which broadcast with each other."""
    a = arguments(node)
    shape = e.shape(a["self"])
    chosen = _Chosen.of(e, a["indices"])
    sources = [Source(e, n) for n in chosen.nodes]

    def at(places: list[Callable[[list[Any]], Any]], i: list[Any]) -> list[Any]:
        among = i[chosen.first : chosen.first + len(chosen.shape)]
        rest = iter(i[: chosen.first] + i[chosen.first + len(chosen.shape) :])
        read = iter(places)
        return [
            _within(next(read)(among), size) if d in chosen.axes else next(rest)
            for d, size in enumerate(shape)
        ]

    _read(e, node, sources, at)


@dataclass(frozen=True)
class _Chosen:
    """Axes that integers choose from.

    Attributes:
        axes: Which.
        nodes: The integers of each.
        shape: What they broadcast to.
        first: At which axis of the result that shape begins.
    """

    axes: tuple[int, ...]
    nodes: tuple[Any, ...]
    shape: tuple[int, ...]
    first: int

    @classmethod
    def of(cls, e: Emitter, indices: Sequence[Any]) -> _Chosen:
        """Returns what the indices of a value choose.

        Raises:
            NoRuleError: They are truth values, so that nobody knows how many they choose.
        """
        axes = tuple(d for d, one in enumerate(indices) if one is not None)
        nodes = tuple(one for one in indices if one is not None)
        if any(e.dtype(one) in ("bool", UINT8.name) for one in nodes):
            raise NoRuleError("a mask chooses how many values there are: use torch.where")
        common = np.broadcast_shapes(*(e.shape(one) for one in nodes))
        adjacent = axes == tuple(range(axes[0], axes[0] + len(axes)))
        return cls(axes, nodes, common, axes[0] if adjacent else 0)


def _read(
    e: Emitter,
    node: Any,
    sources: list[Source],
    at: Callable[[list[Callable[[list[Any]], Any]], list[Any]], list[Any]],
) -> None:
    """Writes ``node``: its first argument where ``at`` says, of readers of ``sources`` and an index."""
    value, grid, kind = e.value(node.args[0]), e.grid(node), e.dtype(node)
    storage = e.read(value, orders.identity(len(value.shape)))

    def number(tensor: Any, *rest: Any) -> Any:
        *places, i = rest
        readers = [_reader(s, t) for s, t in zip(sources, places, strict=True)]
        element = tensor(*(at(readers, i) or [0]))
        return scalars.converted(element, storage.grid, grid, kind)

    table = e.shaped(storage.expr, value.shape or (1,))
    output = computed(e, "taken", e.shape(node), number, table, *(s.expr for s in sources))
    e.put(node, output, None, grid)


def _reader(source: Source, tensor: Any) -> Callable[[list[Any]], Any]:
    """Returns a function: an index that ``source`` broadcasts to, to its number there."""

    def read(index: list[Any]) -> Any:
        own = index[len(index) - len(source.shape) :]
        places = (0 if n == 1 else i for i, n in zip(own, source.shape, strict=True))
        return source.at(tensor, list(places))

    return read


# -- writing where integers say -----------------------------------------------------------------


@dataclass(frozen=True)
class _Writes:
    """What is written into a value.

    Attributes:
        extents: How many places are written, along one axis or several.
        hits: From readers of the sources, places and an index of the result: whether it is written there.
        number: From the same, what is written.
        sources: What is read for it, beside the value itself.
    """

    extents: tuple[int, ...]
    hits: Callable[..., Any]
    number: Callable[..., Any]
    sources: tuple[Source, ...]


def _scattered(e: Emitter, node: Any, writes: _Writes, reduce: str, *, own: bool = True) -> None:
    """Writes ``node``: its first argument, and what is written into it.

    Args:
        e: Where it is written.
        node: The node.
        writes: What is written.
        reduce: ``last`` (of several the last counts), ``sum``, ``prod``, ``mean``, ``amax`` or ``amin``.
        own: Whether what the value holds there counts too.
    """
    kind = e.dtype(node)
    if kind in ("bool", FLOAT16.name) and reduce != "last":
        raise NoRuleError(f"values of type {kind} are not added up: cast with .float() before")
    value, shape = Source(e, node.args[0]), e.shape(node)
    exprs = [s.expr for s in writes.sources]
    if reduce == "last":
        e.put(node, _overwritten(e, value, shape, writes, exprs))
        return
    neutral, combine, join = _REDUCTIONS[reduce](kind)

    def total(*given: Any) -> Any:
        *tensors, index = given
        axes = [te.reduce_axis((0, n), name=f"r{i}") for i, n in enumerate(writes.extents)]
        places = [r.var for r in axes]
        number = writes.number(tensors, places, index)
        return combine(
            tirx.if_then_else(writes.hits(tensors, places, index), number, neutral), axis=axes
        )

    def count(*given: Any) -> Any:
        *tensors, index = given
        axes = [te.reduce_axis((0, n), name=f"r{i}") for i, n in enumerate(writes.extents)]
        hit = writes.hits(tensors, [r.var for r in axes], index)
        return te.sum(tirx.Select(hit, tirx.const(1, "int32"), tirx.const(0, "int32")), axis=axes)

    totals = computed(e, "totals", shape, total, *exprs)
    counts = computed(e, "counts", shape, count, *exprs)

    def at(tensor: Any, total: Any, count: Any, index: list[Any]) -> Any:
        before = value.at(tensor, index)
        written, times = total(*(index or [0])), count(*(index or [0]))
        result = join(before, written) if own else written
        if reduce == "mean":
            times = times + (1 if own else 0)
            result = _divided(result, tirx.max(times, 1).astype(kind), kind)
        return tirx.Select(count(*(index or [0])) > 0, result, before)

    e.put(node, computed(e, "scattered", shape, at, value.expr, totals, counts))


def _divided(a: Any, b: Any, kind: str) -> Any:
    return a / b if kind.startswith("float") else tirx.floordiv(a, b)


def _overwritten(
    e: Emitter, value: Source, shape: tuple[int, ...], writes: _Writes, exprs: list[Any]
) -> Any:
    """Returns the value with what is written last in each place."""

    def last(*given: Any) -> Any:
        *tensors, index = given
        axes = [te.reduce_axis((0, n), name=f"r{i}") for i, n in enumerate(writes.extents)]
        places = [r.var for r in axes]
        number: Any = tirx.const(0, "int32")
        for place, extent in zip(places, writes.extents, strict=True):
            number = number * extent + place
        hit = writes.hits(tensors, places, index)
        return te.max(tirx.Select(hit, number, tirx.const(-1, "int32")), axis=axes)

    which = computed(e, "last", shape, last, *exprs)

    def at(tensor: Any, chosen: Any, *given: Any) -> Any:
        *tensors, index = given
        number = chosen(*(index or [0]))
        rest, places = tirx.max(number, 0), []
        for extent in writes.extents[::-1]:
            places.append(tirx.floormod(rest, extent))
            rest = tirx.floordiv(rest, extent)
        written = writes.number(tensors, places[::-1], index)
        return tirx.if_then_else(number >= 0, written, value.at(tensor, index))

    return computed(e, "scattered", shape, at, value.expr, which, *exprs)


_REDUCTIONS: dict[str, Callable[[str], tuple[Any, Any, Any]]] = {
    "sum": lambda k: (tirx.const(0, k), te.sum, lambda a, b: a + b),
    "mean": lambda k: (tirx.const(0, k), te.sum, lambda a, b: a + b),
    "prod": lambda k: (tirx.const(1, k), reducers.product, lambda a, b: a * b),
    "amax": lambda k: (reducers.least(k), reducers.largest, tirx.max),
    "amin": lambda k: (reducers.greatest(k), reducers.smallest, tirx.min),
}
"""Name to what nothing is written as, what joins several, and what joins that with the value."""


def _along_axis(e: Emitter, node: Any, index_node: Any, source: Any) -> _Writes:
    """Returns the writes of ``scatter``: an integer at each place of ``source`` says where along an axis."""
    shape, axis = e.shape(node), int(arguments(node)["dim"])
    if not shape:
        raise NoRuleError("a scalar has no axis to write along: use torch.where")
    axis %= len(shape)
    index = Source(e, index_node)
    numbers = _numbers(e, source, e.dtype(node))

    def hits(tensors: Any, places: list[Any], i: list[Any]) -> Any:
        (r,) = places
        inside = [i[d] < n for d, n in enumerate(index.shape) if d != axis and n < shape[d]]
        own = [
            r if d == axis else tirx.min(i[d], n - 1) if n < shape[d] else i[d]
            for d, n in enumerate(index.shape)
        ]
        target = index.at(tensors[0], own).astype("int64")
        return tirx.all(target == i[axis].astype("int64"), *inside)

    def number(tensors: Any, places: list[Any], i: list[Any]) -> Any:
        (r,) = places
        own = [r if d == axis else tirx.min(i[d], n - 1) for d, n in enumerate(index.shape)]
        return numbers.read(tensors[1:], own)

    return _Writes((index.shape[axis],), hits, number, (index, *numbers.sources))


class _Number:
    """What is written: a value of the program, or a number."""

    def __init__(self, source: Source | None, number: Any) -> None:
        self.sources = () if source is None else (source,)
        self._number = number

    def read(self, tensors: Sequence[Any], index: list[Any]) -> Any:
        """Returns what is written at an index, which the value broadcasts to."""
        if not self.sources:
            return self._number
        return _reader(self.sources[0], tensors[0])(index)


def _numbers(e: Emitter, source: Any, kind: str) -> _Number:
    if isinstance(source, torch.fx.Node):
        return _Number(Source(e, source, kind), None)
    return _Number(None, scalars.number(source, kind))


@rule(aten.scatter.src, aten.scatter.value)
def scatter(e: Emitter, node: Any) -> None:
    """Writes values to where integers say along an axis; of several the last counts."""
    a = arguments(node)
    _scattered(e, node, _along_axis(e, node, a["index"], a.get("src", a.get("value"))), "last")


@rule(aten.scatter.reduce, aten.scatter.value_reduce)
def scatter_joined(e: Emitter, node: Any) -> None:
    """Adds or multiplies values to where integers say along an axis."""
    a = arguments(node)
    writes = _along_axis(e, node, a["index"], a.get("src", a.get("value")))
    _scattered(e, node, writes, {"add": "sum", "multiply": "prod"}[a["reduce"]])


@rule(aten.scatter_add.default)
def scatter_add(e: Emitter, node: Any) -> None:
    """Adds values to where integers say along an axis."""
    a = arguments(node)
    _scattered(e, node, _along_axis(e, node, a["index"], a["src"]), "sum")


@rule(aten.scatter_reduce.two)
def scatter_reduce(e: Emitter, node: Any) -> None:
    """Joins values to where integers say along an axis."""
    a = arguments(node)
    writes = _along_axis(e, node, a["index"], a["src"])
    _scattered(e, node, writes, str(a["reduce"]), own=bool(a["include_self"]))
