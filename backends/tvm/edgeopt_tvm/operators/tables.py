"""Functions of one 8-bit number, as tables of 256 entries that torch itself makes at compile time.

A chain of them is one table: of x * sigmoid(x), each of three values on a grid of its own, one lookup
is left, and it is exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import te

from edgeopt_tvm.operators.elementwise import operator_name
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.values import Value

__all__ = ["chained", "table"]


def table(e: Emitter, node: Any) -> bool:
    """Writes ``node`` as a table of the value on a grid that all its arguments follow from.

    Returns:
        Whether it could: not where it has no grid, or its arguments follow from several values.
    """
    goal, sources = e.grid(node), list(node.all_input_nodes)
    functions = {n: _function(e, n) for n in sources}
    roots = {id(f[0]): f[0] for f in functions.values() if f is not None and f[0] is not None}
    if goal is None or None in functions.values() or len(roots) != 1:
        return False
    (root,) = roots.values()
    if root.shape != e.shape(node):
        return False
    tensors = {n: f[1] for n, f in functions.items() if f is not None}
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), tensors.get)
    integers = goal.quantized(node.target(*args, **kwargs))
    storage, first = e.read(root), root.grid.first if root.grid is not None else 0

    def compute(tensor: te.Tensor, entries: te.Tensor) -> te.Tensor:
        return te.compute(
            tensor.shape,
            lambda *i: entries[tensor(*i).astype("int32") - first],
            name="looked_up",
        )

    output = e.te(
        operator_name(node), compute, storage.expr, constant_of(integers), pattern="elementwise"
    )
    e.put(node, output, storage.order, goal)
    reals = (torch.from_numpy(integers).float() - goal.zero) * torch.tensor(goal.scale)
    e.value(node).function = (root, reals)
    return True


def chained(e: Emitter, node: Any) -> bool:
    """Writes ``node`` as a table where an argument of it is one; arithmetic alone needs none.

    Returns:
        Whether it could.
    """
    return any(e.value(n).function is not None for n in node.all_input_nodes) and table(e, node)


def _function(e: Emitter, node: Any) -> tuple[Value | None, torch.Tensor] | None:
    """Returns the value that ``node`` follows from, and its number for each integer of that one."""
    value = e.value(node)
    if value.function is not None:
        return value.function
    if value.array is not None:
        one = value.array.size == 1
        return (None, e.program.constants[node.name].detach().reshape(())) if one else None
    grid = value.grid
    return None if grid is None or not grid.is_short else (value, grid.reals())
