"""Normalizations, decomposed into means and arithmetic: TFLite has no operator for them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import orders
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.reduction import reduce_held
from edgeopt_tflite.values import Copy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.ir.orders import Order, Shape
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__: list[str] = []

aten = torch.ops.aten


@lowers(aten.layer_norm.default)
def _layer_norm(e: Emitter, node: torch.fx.Node) -> None:
    value = e.operand(node)
    width = len(node.args[1])  # type: ignore[arg-type]
    weight, bias, eps = ([*node.args[2:5], None, None, 1e-5][i] for i in range(3))
    eps = node.args[4] if len(node.args) > 4 else 1e-5  # noqa: PLR2004
    rank = len(value.shape)
    operand = e.read(value)
    output = _normalized(e, operand, range(rank - width, rank), float(eps))  # type: ignore[arg-type]
    shape = (1,) * (rank - width) + value.shape[rank - width :]
    output = _scaled(e, output, (weight, bias), shape, operand.order)
    e.write(node, output, operand.order)


@lowers(aten.group_norm.default)
def _group_norm(e: Emitter, node: torch.fx.Node) -> None:
    """Splits the channels into (groups, channels of a group) and reduces over all but the groups."""
    value = e.operand(node)
    groups = int(node.args[1])  # type: ignore[arg-type]
    rest = [*node.args[2:], *[None, None, 1e-5][len(node.args) - 2 :]]
    n, c, *space = value.shape
    split = (n, groups, c // groups, math.prod(space))
    operand = e.read(e.view(value, split))
    output = _normalized(e, operand, (2, 3), float(rest[2]))  # type: ignore[arg-type]
    back = orders.reshaped(split, operand.order, (n, c, math.prod(space)))
    if back is None:
        back = orders.identity(3)
        output = _moved(e, output, operand.order, split)
    output = e.reshaped(output, orders.stored_shape((n, c, math.prod(space)), back))
    output = _scaled(e, output, (rest[0], rest[1]), (1, c, 1), back)
    e.write(node, output, back, (n, c, math.prod(space)))


def _moved(e: Emitter, tensor: Tensor, order: Order, shape: Shape) -> Tensor:
    """Returns ``tensor`` in the order of ``shape``."""
    axes = [order.index(d) for d in range(len(order))]
    return e.emit("TRANSPOSE", [tensor, e.integers(axes)], shape, "Transpose")


def _normalized(e: Emitter, held: Copy, axes: Sequence[int], eps: float) -> Tensor:
    """Returns (x − mean) / √(variance + eps)."""
    tensor = held.tensor
    mean = reduce_held(e, "MEAN", held, axes, keep=True)
    centred = e.emit("SUB", [tensor, mean], tensor.shape, "Sub", fusedActivationFunction=0)
    squares = e.emit("SQUARE", [centred], centred.shape, "Square")
    power = reduce_held(e, "MEAN", Copy(squares, held.order), axes, keep=True)
    raised = _binary(e, "ADD", power, e.scalar(eps, "float32"))
    return _binary(e, "MUL", centred, e.emit("RSQRT", [raised], raised.shape))


def _scaled(
    e: Emitter, tensor: Tensor, factors: tuple[Any, Any], shape: Shape, order: Order
) -> Tensor:
    """Returns ``tensor`` times the first of ``factors`` plus the second, where they are given."""
    for code, node in zip(("MUL", "ADD"), factors, strict=True):
        if node is not None:
            other = e.read(e.view(e.value(node), shape), order).tensor
            tensor = _binary(e, code, tensor, other)
    return tensor


def _binary(e: Emitter, code: str, a: Tensor, b: Tensor) -> Tensor:
    return e.emit(code, [a, b], a.shape, code.capitalize(), fusedActivationFunction=0)
