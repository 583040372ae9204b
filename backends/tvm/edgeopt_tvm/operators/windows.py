"""The largest number of each window, with where it is: pooling of one to three dimensions."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators import reducers
from edgeopt_tvm.operators.arguments import Source, arguments, computed
from edgeopt_tvm.operators.keys import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt_tvm.emitter import Emitter

    Place = Callable[[int, Any, Any], Any]
    """From an axis, an index of the result and one of the window to a place, which may be beside."""

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.max_pool2d_with_indices.default, aten.max_pool3d_with_indices.default)
def max_pool_with_places(e: Emitter, node: Any) -> None:
    """The largest number of each window, and where it is in its image."""
    a = arguments(node)
    rank = 2 if "2d" in str(node.target) else 3
    kernel, padding, dilation = (_each(a[k], rank) for k in ("kernel_size", "padding", "dilation"))
    stride = _each(a["stride"], rank) if a["stride"] else kernel

    def place(axis: int, out: Any, r: Any) -> Any:
        return out * stride[axis] + r * dilation[axis] - padding[axis]

    _largest(e, node, kernel, place)


@rule(
    aten.adaptive_max_pool2d.default,
    aten.adaptive_max_pool3d.default,
)
def adaptive_max_pool(e: Emitter, node: Any) -> None:
    """The largest number of each of so many windows, and where it is in its image."""
    rank = int(str(node.target.__name__).split("pool")[1][0])
    sizes = e.shape(node.args[0])[-rank:]
    goals = [int(d) for d in node.meta["val"][0].shape][-rank:]

    def start(axis: int, out: Any) -> Any:
        return tirx.floordiv(out * sizes[axis], goals[axis])

    def end(axis: int, out: Any) -> Any:
        return tirx.floordiv((out + 1) * sizes[axis] + goals[axis] - 1, goals[axis])

    extents = [
        max(-(-(o + 1) * n // m) - o * n // m for o in range(m))
        for n, m in zip(sizes, goals, strict=True)
    ]
    _largest(
        e, node, extents,
        lambda axis, out, r: start(axis, out) + r,
        lambda axis, out, r: start(axis, out) + r < end(axis, out),
    )  # fmt: skip


def _each(value: Any, rank: int) -> list[int]:
    entries = [int(v) for v in value]
    return entries if len(entries) == rank else entries * rank


def _largest(
    e: Emitter, node: Any, extents: Sequence[int], place: Place, is_in_window: Place | None = None
) -> None:
    """Puts the largest numbers and their places; NaN counts as the largest."""
    source = Source(e, node.args[0])
    rank = len(extents)
    sizes = source.shape[-rank:]
    shape = [int(d) for d in node.meta["val"][0].shape]
    ordered = keys(e, node.args[0])
    kind = str(ordered.ty.dtype)
    nothing = reducers.least(kind)

    def window(index: list[Any]) -> tuple[Any, Any, Any, list[Any]]:
        axes = [te.reduce_axis((0, n), name=f"r{i}") for i, n in enumerate(extents)]
        outs = index[-rank:]
        places = [place(d, outs[d], axes[d].var) for d in range(rank)]
        inside = []
        if is_in_window is not None:
            inside += [is_in_window(d, outs[d], axes[d].var) for d in range(rank)]
        for p, n in zip(places, sizes, strict=True):
            inside += [p >= 0, p < n]
        number: Any = tirx.const(0, "int32")
        for p, n in zip(places, sizes, strict=True):
            number = number * n + p.astype("int32")
        inner = [tirx.max(tirx.min(p, n - 1), 0) for p, n in zip(places, sizes, strict=True)]
        return tirx.all(*inside), number, [*index[:-rank], *inner], axes

    def best(key: Any, index: list[Any]) -> Any:
        inside, _, where, axes = window(index)
        return reducers.largest(tirx.Select(inside, key(*where), nothing), axis=axes)

    bests = computed(e, "greatest", shape, best, ordered)

    def first(key: Any, best: Any, index: list[Any]) -> Any:
        inside, number, where, axes = window(index)
        last = tirx.const(prod(sizes) - 1, "int32")
        here = tirx.all(inside, key(*where) == best(*index))
        return te.min(tirx.Select(here, number, last), axis=axes)

    places = computed(e, "first", shape, first, ordered, bests)

    def value(tensor: Any, chosen: Any, index: list[Any]) -> Any:
        number, where = chosen(*index), []
        for n in sizes[::-1]:
            where.append(tirx.floormod(number, n))
            number = tirx.floordiv(number, n)
        return source.at(tensor, [*index[:-rank], *where[::-1]])

    e.put_parts(
        node,
        [
            computed(e, "taken", shape, value, source.expr, places),
            computed(e, "widened", shape, lambda p, i: p(*i).astype("int64"), places),
        ],
    )
