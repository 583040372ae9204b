"""Reductions along axes, wherever those lie in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import te

from edgeopt.contracts.storage import INT32
from edgeopt.ir import orders
from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators import reducers

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.parameters import Grid

__all__ = ["exact_mean", "steps_of"]

aten = torch.ops.aten


def _axes(node: Any, rank: int) -> list[int]:
    axes: Any = node.args[1] if len(node.args) > 1 else None
    axes = [axes] if isinstance(axes, int) else (axes or range(rank))
    return sorted({int(a) % rank for a in axes}) if rank else []


def _reduced(
    e: Emitter,
    node: Any,
    combine: Callable[..., Any],
    finish: Callable[[Any], Any],
    load: Callable[[Any], Any] | None = None,
) -> None:
    """Writes ``node``: ``combine`` over its axes, ``finish`` of the result.

    Args:
        e: Where it is written.
        node: The node: (value, axes, whether axes stay).
        combine: `te.sum` or its like.
        finish: From a combined number to what is stored.
        load: From a stored number to what is combined; by default the real number.
    """
    value = e.value(node.args[0])
    axes = _axes(node, len(value.shape))
    operand = e.operand(value, dtype=e.dtype(node))
    order = operand.order
    free_axes = [d for d in order if d not in axes]
    shape = tuple(value.shape[d] for d in free_axes) or (1,)

    def compute(tensor: te.Tensor) -> te.Tensor:
        over = {d: te.reduce_axis((0, value.shape[d]), name=f"r{d}") for d in axes}

        def at(*index: Any) -> Any:
            place = {**dict(zip(free_axes, index, strict=False)), **over}
            indices = [place[d] for d in order]
            number = load(tensor(*indices)) if load else operand.stored(tensor, *indices)
            return combine(number, axis=list(over.values()))

        sums = te.compute(shape, at, name="combined")
        return te.compute(shape, lambda *i: finish(sums(*i)), name="reduced")

    output = e.te(str(node.target.__name__).split(".")[0], compute, operand.expr)
    keeps = len(e.shape(node)) == len(value.shape)
    e.put(node, output, order if keeps else orders.reduced(order, axes), e.grid(node))


@rule(aten.mean.dim)
def mean(e: Emitter, node: Any) -> None:
    """The mean along some axes; of integers it is exact, so that a tie stays one."""
    value, goal = e.value(node.args[0]), e.grid(node)
    count = 1
    for axis in _axes(node, len(value.shape)):
        count *= value.shape[axis]
    if value.grid is not None and goal is not None:
        grid = value.grid
        _reduced(
            e, node, te.sum, lambda x: exact_mean(x, count, grid, goal),
            load=lambda x: steps_of(x, grid, count),
        )  # fmt: skip
        return
    kind = e.dtype(node)
    _reduced(
        e,
        node,
        te.sum,
        lambda x: scalars.converted(x / scalars.number(count, kind), None, goal, kind),
    )


def steps_of(x: Any, grid: Grid, count: int) -> Any:
    """Returns how many steps from zero ``x`` is, in a type that holds the sum of ``count`` such."""
    steps = x.astype("int32") - grid.zero
    return steps if count * grid.farthest <= INT32.highest else steps.astype("float64")


def exact_mean(total: Any, count: Any, source: Any, goal: Any) -> Any:
    """Returns the integer of grid ``goal`` for a sum of ``count`` steps of grid ``source``."""
    double = total.astype("float64") / (
        count if not isinstance(count, int) else scalars.number(count, "float64")
    )
    real = double * scalars.number(source.scale, "float64")
    return scalars.on_grid(real / scalars.number(goal.scale, "float64"), goal)


def _simple(combine: Callable[..., Any]) -> Any:
    def emit(e: Emitter, node: Any) -> None:
        kind, goal = e.dtype(node), e.grid(node)
        _reduced(e, node, combine, lambda x: scalars.converted(x, None, goal, kind))

    return emit


rule(aten.sum.dim_IntList)(_simple(te.sum))
rule(aten.amax.default)(_simple(reducers.largest))
rule(aten.amin.default)(_simple(reducers.smallest))
rule(aten.prod.dim_int)(_simple(reducers.product))
