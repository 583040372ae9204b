"""Activations. Between two grids of 8 bits the costly ones are tables; of 16 bits those would be too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import tirx

from edgeopt_tvm import scalars
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.elementwise import elementwise
from edgeopt_tvm.operators.tables import chained, table

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_HALF_ROOT = 0.70710678118654752
_GELU_ROOT, _GELU_CUBE = 0.79788456080286536, 0.044715


@rule(aten.relu.default)
def relu(e: Emitter, node: Any) -> None:
    """max(x, 0)."""
    _clip(e, node, 0, None)


@rule(aten.clamp.default)
def clamp(e: Emitter, node: Any) -> None:
    """X clipped to [low, high]; either may be open."""
    low, high = (*node.args[1:], None, None)[:2]
    _clip(e, node, node.kwargs.get("min", low), node.kwargs.get("max", high))


def _clip(e: Emitter, node: Any, low: float | None, high: float | None) -> None:
    if not chained(e, node):
        elementwise(e, node, lambda x: scalars.clipped(x, low, high), node.args[:1])


def _function(e: Emitter, node: Any, function: Any, *, exact: bool = False) -> None:
    """Writes a function of one number.

    Args:
        e: Where it is written.
        node: The node.
        function: From an expression to an expression.
        exact: Whether its float32 operations are torch's own, each rounded once.
    """
    if table(e, node):
        return
    elementwise(e, node, function, node.args[:1], apart=exact)
    if not exact:
        e.note_float(
            node, "a function of numbers of 16 bits is computed in float, and then rounded"
        )


@rule(aten.sigmoid.default)
def sigmoid(e: Emitter, node: Any) -> None:
    """1 / (1 + exp(-x))."""
    _function(e, node, tirx.sigmoid)


@rule(aten.tanh.default)
def tanh(e: Emitter, node: Any) -> None:
    """The hyperbolic tangent."""
    _function(e, node, tirx.tanh)


@rule(aten.gelu.default)
def gelu(e: Emitter, node: Any) -> None:
    """X times the normal distribution's integral, exact or by tanh."""
    kind = node.kwargs.get("approximate", node.args[1] if len(node.args) > 1 else "none")
    _function(e, node, _gelu_by_tanh if kind == "tanh" else _gelu)


def _gelu(x: Any) -> Any:
    kind = scalars.kind_of(x)
    half, one = scalars.number(0.5, kind), scalars.number(1, kind)
    return x * half * (one + tirx.erf(x * scalars.number(_HALF_ROOT, kind)))


def _gelu_by_tanh(x: Any) -> Any:
    kind = scalars.kind_of(x)
    inner = scalars.number(_GELU_ROOT, kind) * (x + scalars.number(_GELU_CUBE, kind) * x * x * x)
    return scalars.number(0.5, kind) * x * (scalars.number(1, kind) + tirx.tanh(inner))


@rule(aten.hardswish.default)
def hardswish(e: Emitter, node: Any) -> None:
    """X * clamp(x + 3, 0, 6) / 6."""

    def function(x: Any) -> Any:
        kind = scalars.kind_of(x)
        inner = scalars.clipped(x + scalars.number(3, kind), 0, 6)
        return x * inner / scalars.number(6, kind)

    _function(e, node, function, exact=True)


@rule(aten.leaky_relu.default)
def leaky_relu(e: Emitter, node: Any) -> None:
    """X where it is positive, else slope * x."""
    slope = node.args[1] if len(node.args) > 1 else node.kwargs.get("negative_slope", 0.01)

    def function(x: Any) -> Any:
        kind = scalars.kind_of(x)
        return tirx.Select(x > scalars.number(0, kind), x, x * scalars.number(slope, kind))

    _function(e, node, function, exact=True)


@rule(aten.elu.default)
def elu(e: Emitter, node: Any) -> None:
    """X where it is positive, else alpha * (exp(x) - 1)."""
    alpha, scale, inner = [*node.args[1:], 1.0, 1.0, 1.0][:3]

    def function(x: Any) -> Any:
        kind = scalars.kind_of(x)
        below = tirx.exp(x * scalars.number(inner, kind)) - scalars.number(1, kind)
        below *= scalars.number(alpha * scale, kind)
        return tirx.Select(x > scalars.number(0, kind), x * scalars.number(scale, kind), below)

    _function(e, node, function)
