"""Cuts from an activation's range what its consumers flatten out anyway.

A silu, gelu or hardswish takes everything far below zero to zero, a sigmoid and a tanh both ends to a
constant. Behind a convolution half of the range often lies there, and would take half of the integers.
Unlike clipping by what calibration saw, this cut is safe on all data: beyond it the consumer's output
changes by a small part of a step, however far other data go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["useful_range"]

aten = torch.ops.aten
PART = 0.05
"""Of a step: how much a consumer may still change beyond the cut. Half a step cost 2 dB on an
EfficientNet: rounding errs to both sides, a cut to one."""
POINTS = 2048
FARTHEST = 16.0
"""Beyond this all of these functions are flat to 1e-6."""


def useful_range(node: torch.fx.Node, low: float, high: float) -> tuple[float, float]:
    """Returns the part of ``low`` to ``high`` that the consumers of ``node`` tell apart.

    All of it where a consumer is not known to be flat anywhere.
    """
    consumers = _consumers(node)
    functions = [traits_of(consumer).flat for consumer in consumers]
    if not consumers or None in functions:
        return low, high
    ends = [
        _ends(function, low, high, _step(consumer, low, high))
        for consumer, function in zip(consumers, functions, strict=True)
        if function is not None
    ]
    return min(end[0] for end in ends), max(end[1] for end in ends)


def _consumers(node: torch.fx.Node) -> list[object]:
    """Returns the operators that read ``node``; silu is told by its product, None is unknown."""
    operators: list[object] = []
    for user in node.users:
        if user.target is aten.mul.Tensor:
            operators.append(user.target if _is_silu(user, node) else None)
        elif not user.users or not all(_is_silu(consumer, node) for consumer in user.users):
            operators.append(user.target)
    return operators


def _is_silu(product: torch.fx.Node, node: torch.fx.Node) -> bool:
    """Whether ``product`` is ``node`` times its sigmoid."""
    if product.target is not aten.mul.Tensor or node not in product.args:
        return False
    others = [v for v in product.all_input_nodes if v is not node]
    return any(v.target is aten.sigmoid.default and v.args[0] is node for v in others)


def _step(consumer: Any, low: float, high: float) -> float:
    """Returns the step of the consumer's output: a prescribed one, or about that of its input."""
    prescribed = traits_of(consumer).prescribed_output
    return (high - low) / INT8.steps if prescribed is None else prescribed[0]


def _ends(function: Function, low: float, high: float, step: float) -> tuple[float, float]:
    below = _flat_below(function, low, step)
    return below, -_flat_below(lambda x: function(-x), -high, step)


def _flat_below(function: Function, low: float, step: float) -> float:
    """Returns the largest point, at most 0, below which ``function`` varies by ``PART`` steps."""
    x = torch.linspace(min(low, -FARTHEST), 0.0, POINTS, dtype=torch.float64)
    y = function(x)
    flat = (y - y[0]).abs().cummax(0).values < PART * step
    return min(0.0, max(low, float(x[int(flat.sum()) - 1])))
