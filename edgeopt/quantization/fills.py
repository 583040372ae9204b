"""What fills: numbers in the graph that reach a value without having been computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.program import Program

__all__ = ["consumers_of_marks", "fill_value", "fills", "is_nothing", "reads_nothing_as_least"]

aten = torch.ops.aten

NOTHING = 1e30
"""A number beyond this (infinity, the ends of float32 and bfloat16) is a mark, not a measure."""


def is_nothing(value: float) -> bool:
    """Returns whether ``value`` says that nothing is there: no grid could hold it."""
    return not abs(value) < NOTHING


def fill_value(node: torch.fx.Node) -> float | None:
    """Returns the number that ``node`` sets beside its input, None where it sets none, or zero."""
    if node.target is not aten.constant_pad_nd.default:
        return None
    sizes: Any = node.args[1]
    fill: Any = node.args[2] if len(node.args) > 2 else 0  # noqa: PLR2004 (input, sizes, fill)
    return float(fill) if fill != 0 and any(s > 0 for s in sizes) else None


def consumers_of_marks(program: Program) -> tuple[str, ...]:
    """Returns the names of operators that read a constant with a mark in it: no grid holds that."""
    names: list[str] = []
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        constants = [program.constants.get(v.name) for v in ops.activation_inputs(node)]
        if any(t is not None and bool((t.abs() >= NOTHING).any()) for t in constants):
            names.append(node.name)
    return tuple(names)


def reads_nothing_as_least(pad: torch.fx.Node) -> bool:
    """Returns whether only max pooling reads ``pad``, and finds a real value in each window.

    Then the lowest point of the grid stands for minus infinity exactly: no maximum is below it.
    """
    fill = fill_value(pad)
    return (
        fill is not None and fill < 0 and bool(pad.users) and all(map(_is_pooled(pad), pad.users))
    )


def _is_pooled(pad: torch.fx.Node) -> Any:
    source: Any
    source, sizes, _ = pad.args
    real = torch.zeros(source.meta["val"].shape)
    marked = aten.constant_pad_nd.default(real, sizes, -math.inf)

    def pooled(user: torch.fx.Node) -> bool:
        if user.target is not aten.max_pool2d.default or user.args[0] is not pad:
            return False
        return bool(torch.isfinite(aten.max_pool2d.default(marked, *user.args[1:])).all())

    return pooled


def fills(nodes: Any) -> Iterator[float]:
    """Yields the fills of ``nodes`` that a grid has to hold."""
    for node in nodes:
        fill = fill_value(node)
        if fill is not None and not is_nothing(fill):
            yield fill
