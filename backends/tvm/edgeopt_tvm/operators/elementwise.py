"""Writes an expression of one number each: the shape every element-wise operator shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import te

from edgeopt.ir import orders
from edgeopt_tvm import scalars
from edgeopt_tvm.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.ir.orders import Order, Shape
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.storage import Pattern

__all__ = ["elementwise", "operator_name"]

Argument = Any
"""A node, or a number."""


def elementwise(  # noqa: PLR0913 (an expression, and how to compute it)
    e: Emitter,
    node: Any,
    function: Callable[..., Any],
    arguments: Sequence[Argument],
    *,
    dtype: str = "",
    apart: bool = False,
    name: str = "",
) -> None:
    """Writes ``node`` as ``function`` of one number of each argument, broadcast as torch does it.

    Args:
        e: Where it is written.
        node: The node.
        function: From expressions to an expression.
        arguments: Nodes and numbers.
        dtype: What to compute with; the node's own dtype by default.
        apart: Whether products must not be joined with a sum (see `scalars.real`).
        name: Of the kernel; the operator's by default.
    """
    shape, kind = e.shape(node), dtype or e.dtype(node)
    values = [e.value(a) if isinstance(a, torch.fx.Node) else a for a in arguments]
    order = _order(e, values, shape)
    readers = [_Reader(e, v, shape, order, kind, apart=apart) for v in values]
    tensors = [r.expr for r in readers if r.expr is not None]
    grid, own = e.grid(node), e.dtype(node)
    stored = orders.stored_shape(shape, order) or (1,)

    def compute(*given: te.Tensor) -> te.Tensor:
        def at(*index: Any) -> Any:
            elements = iter(given)
            numbers = [r.read(None if r.expr is None else next(elements), index) for r in readers]
            return scalars.converted(function(*numbers), None, grid, own)

        return te.compute(stored, at, name="elementwise")

    output = e.te(name or operator_name(node), compute, *tensors, pattern=_pattern(readers))
    e.put(node, output, order, grid)


def _pattern(readers: Sequence[_Reader]) -> Pattern:
    if not all(r.straight for r in readers):
        return "apart"
    return "broadcast" if any(r.repeats for r in readers) else "elementwise"


def operator_name(node: Any) -> str:
    """Returns what the kernel of ``node`` is called."""
    return str(node.target.__name__).split(".")[0].strip("_")


def _order(e: Emitter, values: Sequence[Any], shape: Shape) -> Order:
    """Returns the order in which most arguments as large as the result lie, the first's of equals."""
    variables = [v for v in values if isinstance(v, Value) and v.array is None and v.copies]
    whole = [v for v in variables if e.size(v.shape) == e.size(shape)]
    if not whole:  # what broadcasts, and inputs that nobody has read yet
        alike = [v.copies[0].order for v in variables if len(v.shape) == len(shape)]
        return alike[0] if alike else orders.identity(len(shape))
    candidates = [_spread(h.order, len(v.shape), len(shape)) for v in whole for h in v.copies]
    return max(candidates, key=lambda order: sum(e.has(v, _own(order, v, shape)) for v in whole))


def _own(order: Order, value: Value, shape: Shape) -> Order:
    """Returns the order of the dimensions that ``value`` has, which are the last ones of ``shape``."""
    more = len(shape) - len(value.shape)
    return tuple(d - more for d in order if d >= more)


def _spread(order: Order, rank: int, wanted: int) -> Order:
    """Returns an order with the dimensions that broadcasting adds in front."""
    more = wanted - rank
    return (*range(more), *(d + more for d in order))


class _Reader:
    """Reads one argument at an index of the result's memory."""

    def __init__(
        self, e: Emitter, value: Any, shape: Shape, order: Order, dtype: str, *, apart: bool
    ) -> None:
        self.expr: Any = None
        self.straight, self.repeats = True, False
        self._dtype, self._number = dtype, value
        if not isinstance(value, Value):
            return
        if value.array is not None and value.array.size == 1:
            self._number = value.array.reshape(()).item()
            return
        rank = len(shape)
        padded = (1,) * (rank - len(value.shape)) + value.shape
        operand, own = self._held(e, value, padded, order, apart=apart)
        self.expr, self._convert = operand.expr, operand
        self._places = [None if padded[d] == 1 and shape[d] != 1 else order.index(d) for d in own]
        self.straight = own == order
        self.repeats = padded != shape

    @staticmethod
    def _held(
        e: Emitter, value: Value, padded: Shape, order: Order, *, apart: bool
    ) -> tuple[Any, Order]:
        own_order = _own(order, value, padded)
        here = value.array is not None or e.has(value, own_order)
        operand = e.operand(value, own_order if here else None, apart=apart)
        own = _spread(operand.order, len(value.shape), len(padded))
        if orders.same_memory(padded, own, order):
            own = order
        operand.expr = e.shaped(operand.expr, orders.stored_shape(padded, own) or (1,))
        return operand, own

    def read(self, tensor: Any, index: Sequence[Any]) -> Any:
        if tensor is None:
            return scalars.number(self._number, self._dtype)
        at = [0 if place is None else index[place] for place in self._places] or [0]
        return scalars.widened(self._convert.stored(tensor, *at), self._dtype)
