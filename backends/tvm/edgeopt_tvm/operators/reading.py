"""What only takes values from elsewhere: each number of the result is one of the source, or a fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import te, tirx

from edgeopt.ir import orders
from edgeopt_tvm import scalars
from edgeopt_tvm.operators.elementwise import operator_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.emitter import Emitter

__all__ = ["moved"]


def moved(
    e: Emitter,
    node: Any,
    at: Callable[[list[Any]], list[Any]],
    *,
    inside: Callable[[list[Any]], Any] | None = None,
    fill: float = 0.0,
) -> None:
    """Writes ``node``, whose numbers are those of its first argument, in the order it lies in.

    Args:
        e: Where it is written.
        node: The node.
        at: From an index of the result to one of the source.
        inside: Whether an index of the source is one; ``fill`` stands where it is not.
        fill: A real number.
    """
    value, shape = e.value(node.args[0]), e.shape(node)
    storage = e.read(value)
    more = len(shape) - len(value.shape)
    order = (*range(more), *(d + more for d in storage.order))
    grid, kind = e.grid(node), e.dtype(node)
    filler = (
        scalars.number(fill, kind) if grid is None else tirx.const(grid.integer(fill), grid.dtype)
    )

    def compute(tensor: te.Tensor) -> te.Tensor:
        def one(*index: Any) -> Any:
            logical: list[Any] = [None] * len(shape)
            for place, dimension in enumerate(order):
                logical[dimension] = index[place]
            source = at(logical)
            element = tensor(*(source[d] for d in storage.order))
            element = scalars.converted(element, storage.grid, grid, kind)
            return element if inside is None else tirx.if_then_else(inside(source), element, filler)

        return te.compute(orders.stored_shape(shape, order) or (1,), one, name="taken")

    source = e.shaped(storage.expr, orders.stored_shape(value.shape, storage.order))
    e.put(node, e.te(operator_name(node), compute, source), order, grid)
