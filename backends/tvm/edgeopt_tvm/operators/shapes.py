"""What moves values and computes none."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.reading import moved
from edgeopt_tvm.values import Copy, Value, constant_of

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@rule(operator.getitem)
def part(e: Emitter, node: Any) -> None:
    """One of the values of a node that makes several."""
    source, index = node.args
    e.put_value(node, e.parts(source)[int(index)])


@rule(aten.alias.default)
def alias(e: Emitter, node: Any) -> None:
    """The value as it is."""
    e.put_value(node, e.value(node.args[0]))


@rule(aten.reshape.default)
def reshape(e: Emitter, node: Any) -> None:
    """The same values in another shape, where they are if memory allows it."""
    value, shape = e.value(node.args[0]), e.shape(node)
    if value.array is not None:
        e.put_value(node, _constant(value, value.array.reshape(shape)))
        return
    first = e.read(value)
    order = orders.reshaped(value.shape, first.order, shape)
    if order is None:
        first = e.read(value, orders.identity(len(value.shape)))
        order = orders.identity(len(shape))
    e.put_value(node, Value(node.name, shape, value.dtype, value.grid, [_as(first, order)]))


def _as(held: Copy, order: orders.Order) -> Copy:
    return Copy(held.expr, order, held.grid)


def _constant(value: Value, array: Any) -> Value:
    return Value(value.name, tuple(array.shape), value.dtype, array=array)


@rule(aten.permute.default)
def permute(e: Emitter, node: Any) -> None:
    """The axes in another order; memory stays as it is."""
    value, shape = e.value(node.args[0]), e.shape(node)
    axes = [int(a) % len(shape) for a in node.args[1]]
    if value.array is not None:
        e.put_value(node, _constant(value, value.array.transpose(axes)))
        return
    first = e.read(value)
    storage = _as(first, orders.permuted(first.order, axes))
    e.put_value(node, Value(node.name, shape, value.dtype, value.grid, [storage]))


@rule(aten.slice.Tensor)
def slice_axis(e: Emitter, node: Any) -> None:
    """Every ``step``-th value of one axis."""
    _, axis, start, _, step = node.args

    def at(index: list[Any]) -> list[Any]:
        index[axis] = index[axis] * int(step) + int(start)
        return index

    moved(e, node, at)


@rule(aten.expand.default)
def expand(e: Emitter, node: Any) -> None:
    """Axes of length one repeated."""
    own, shape = e.shape(node.args[0]), e.shape(node)
    more = len(shape) - len(own)

    def at(index: list[Any]) -> list[Any]:
        return [0 if n == 1 else i for i, n in zip(index[more:], own, strict=True)]

    moved(e, node, at)


@rule(aten.roll.default)
def roll(e: Emitter, node: Any) -> None:
    """Values that leave an axis at one end come back at the other."""
    _, shifts, axes = (*node.args, [])[:3]
    if not axes:
        raise NoRuleError("roll of the flattened value")
    shape = e.shape(node)
    shifts, axes = (_listed(v) for v in (shifts, axes))

    def at(index: list[Any]) -> list[Any]:
        for shift, axis in zip(shifts, axes, strict=True):
            # Two cases, not a modulo: TVM 0.26 vectorizes that of two axes at once wrongly.
            size, first = shape[axis], (-shift) % shape[axis]
            place = index[axis]
            wrapped = tirx.Select(place < size - first, place + first, place + first - size)
            index[axis] = wrapped if first else place
        return index

    moved(e, node, at)


@rule(aten.flip.default)
def flip(e: Emitter, node: Any) -> None:
    """Axes backwards."""
    shape = e.shape(node)

    def at(index: list[Any]) -> list[Any]:
        for axis in node.args[1]:
            index[axis] = shape[axis] - 1 - index[axis]
        return index

    moved(e, node, at)


def _listed(value: Any) -> list[int]:
    return [int(value)] if isinstance(value, int) else [int(v) for v in value]


@rule(aten.cat.default)
def concatenate(e: Emitter, node: Any) -> None:
    """Several values one behind another; torch drops those of shape (0,)."""
    shape = e.shape(node)
    nodes: Any = [a for a in node.args[0] if e.size(e.shape(a)) or len(e.shape(a)) == len(shape)]
    axis = int(node.args[1]) if len(node.args) > 1 else 0
    axis %= len(shape)
    values = [e.value(a) for a in nodes]
    largest = max(values, key=lambda v: (bool(v.copies), e.size(v.shape)))
    order = largest.copies[0].order if largest.copies else orders.identity(len(shape))
    helds = [e.read(v, order) for v in values]
    grid, kind, at = e.grid(node), e.dtype(node), order.index(axis)
    widths = [v.shape[axis] for v in values]

    def compute(*tensors: te.Tensor) -> te.Tensor:
        def one(*index: Any) -> Any:
            result, start = None, sum(widths)
            for tensor, storage, width in list(zip(tensors, helds, widths, strict=True))[::-1]:
                start -= width
                place = list(index)
                place[at] = index[at] - start
                value = scalars.converted(tensor(*place), storage.grid, grid, kind)
                result = (
                    value if result is None else _choose(index[at], start + width, value, result)
                )
            return result

        return te.compute(orders.stored_shape(shape, order), one, name="joined")

    e.put(node, e.te("cat", compute, *(h.expr for h in helds)), order, grid)


def _choose(index: Any, end: int, before: Any, behind: Any) -> Any:
    return tirx.if_then_else(index < end, before, behind)


@rule(aten.embedding.default)
def embedding(e: Emitter, node: Any) -> None:
    """Rows of a table."""
    _rows(e, node, node.args[0], 0, node.args[1])


@rule(aten.index_select.default)
def index_select(e: Emitter, node: Any) -> None:
    """Chosen slices of one axis."""
    source, axis, index = node.args
    _rows(e, node, source, int(axis) % len(e.shape(source)), index)


def _rows(e: Emitter, node: Any, source: Any, axis: int, chosen: Any) -> None:
    """Writes slices of ``source``, in place of ``axis`` the axes of the value that chooses them."""
    value, index = e.value(source), e.value(chosen)
    count, grid, shape = len(index.shape), e.grid(node), e.shape(node)
    rank = len(value.shape)
    if value.array is not None and grid is not None:  # the table is put on the grid beforehand
        integers = grid.quantized(torch.from_numpy(value.array.copy()))
        storage = Copy(constant_of(integers), orders.identity(rank), grid)
    else:
        storage = e.read(value, orders.identity(rank))
    places = e.read(index, orders.identity(count), real=True)

    def compute(table: te.Tensor, where: te.Tensor) -> te.Tensor:
        def at(*i: Any) -> Any:
            row = where(*i[axis : axis + count]) if count else where(0)
            last = int(table.shape[axis]) - 1  # whatever is asked for, nothing else is read
            row = tirx.max(tirx.min(row.astype("int64"), last), 0)
            element = table(*i[:axis], row.astype("int32"), *i[axis + count :])
            return scalars.converted(element, storage.grid, grid, e.dtype(node))

        return te.compute(shape, at, name="rows")

    e.put(
        node,
        e.te("rows", compute, storage.expr, e.shaped(places.expr, index.shape or (1,))),
        None,
        grid,
    )
