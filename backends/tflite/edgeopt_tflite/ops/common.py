"""What several families share: operands in one order, fused activations, constants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from edgeopt.ir import ops, orders
from edgeopt_tflite.values import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.ir import QuantSpec
    from edgeopt.ir.orders import Order, Shape
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__ = [
    "Fusion",
    "aligned",
    "axes_in_memory",
    "cast",
    "fusion_of",
    "limited",
    "unreached",
]

aten = torch.ops.aten

UNLIMITED = (-math.inf, math.inf)
_FUSED = {
    (0.0, math.inf): ActivationFunctionType.RELU,
    (0.0, 6.0): ActivationFunctionType.RELU6,
    (-1.0, 1.0): ActivationFunctionType.RELU_N1_TO_1,
}


@dataclass(frozen=True)
class Fusion:
    """What an operator does after it has computed.

    Attributes:
        result: The node whose value it writes: itself, or the activation after it.
        code: The activation that its kernel applies.
        limits: What is left to do by operators of their own, on the grid of the result.
    """

    result: torch.fx.Node
    code: int
    limits: tuple[float, float] | None = None


def fusion_of(e: Emitter, node: torch.fx.Node, *, integer: bool) -> Fusion:
    """Returns how the activation after ``node``, if there is one, is computed."""
    activation = ops.fused_activation(node) if e.grid(node) is None else None
    if activation is None:
        return Fusion(node, ActivationFunctionType.NONE)
    limits = ops.activation_bounds(activation)
    grid = e.grid(activation)
    if integer and grid is not None:
        limits = unreached(grid, limits)
        if limits == UNLIMITED:
            return Fusion(activation, ActivationFunctionType.NONE)
    code = _FUSED.get(limits)
    if code is not None:
        return Fusion(activation, code)
    if integer:
        return Fusion(activation, ActivationFunctionType.NONE, limits)
    return Fusion(node, ActivationFunctionType.NONE)


def unreached(grid: QuantSpec, limits: tuple[float, float]) -> tuple[float, float]:
    """Returns ``limits`` without those that the ends of ``grid`` keep anyway."""
    scale, zero = float(grid.scale[0]), int(grid.zero_point[0])
    low, high = limits
    if math.isfinite(low) and round(low / scale) + zero <= grid.q_min:
        low = -math.inf
    if math.isfinite(high) and round(high / scale) + zero >= grid.q_max:
        high = math.inf
    return low, high


def limited(e: Emitter, tensor: Tensor, limits: tuple[float, float] | None) -> Tensor:
    """Returns ``tensor`` kept within ``limits``, by MAXIMUM and MINIMUM."""
    for code, limit in zip(("MAXIMUM", "MINIMUM"), limits or (), strict=False):
        if math.isfinite(limit):
            other = _constant(e, limit, tensor.grid)
            tensor = e.emit(code, [tensor, other], tensor.shape, "MaximumMinimum", grid=tensor.grid)
    return tensor


def _constant(e: Emitter, value: float, grid: QuantSpec | None) -> Tensor:
    if grid is None:
        return e.scalar(value, "float32")
    whole = grid.quantize(torch.tensor([value])).numpy()
    return e.model.constant("limit", whole, grid)


def aligned(
    e: Emitter, nodes: Sequence[Any], shape: Shape, *, integer: bool = False, dtype: str = "float32"
) -> tuple[list[Tensor], Order]:
    """Returns tensors of ``nodes`` in one order, ready for an operator that broadcasts.

    The order is the one that moves the fewest elements.

    Args:
        e: The emitter.
        nodes: The operands; a number among them becomes a constant.
        shape: The shape they are broadcast to.
        integer: Whether values on a grid are read as integers.
        dtype: The type of a number among the operands.
    """
    rank = len(shape)
    values = [_widened(e, _value(e, node, dtype), rank) for node in nodes]
    order = _cheapest(values, rank)
    return [
        e.read(v, order if len(v.shape) == rank else None, integer=integer).tensor for v in values
    ], order


def _value(e: Emitter, node: Any, dtype: str) -> Value:
    if isinstance(node, torch.fx.Node):
        return e.value(node)
    return Value("scalar", (1,), dtype, array=np.array([node], dtype))


def _widened(e: Emitter, value: Value, rank: int) -> Value:
    """Adds dimensions in front, as broadcasting does; a constant of one element stays as it is."""
    if len(value.shape) == rank or (value.array is not None and value.size == 1):
        return value if value.size != 1 or value.array is None else e.view(value, (1,))
    return e.view(value, (1,) * (rank - len(value.shape)) + value.shape)


def _cheapest(values: list[Value], rank: int) -> Order:
    live = [v for v in values if v.array is None and len(v.shape) == rank]
    best, least = orders.identity(rank), math.inf
    for candidate in live:
        order = candidate.copies[0].order
        cost = sum(
            v.size
            for v in live
            if not any(orders.same_memory(v.shape, h.order, order) for h in v.copies)
        )
        if cost < least:
            best, least = order, cost
    return best


def axes_in_memory(order: Order, axes: Sequence[int]) -> list[int]:
    """Returns where the dimensions ``axes`` are in memory, sorted."""
    return sorted(order.index(a) for a in axes)


def cast(e: Emitter, tensor: Tensor, dtype: str) -> Tensor:
    """Returns ``tensor`` with numbers of another type."""
    if tensor.dtype == dtype:
        return tensor
    return e.emit("CAST", [tensor], tensor.shape, "Cast", dtype=dtype)
