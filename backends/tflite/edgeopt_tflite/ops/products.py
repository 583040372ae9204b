"""Matrix products of two values, and softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir import orders
from edgeopt_tflite.operator_rules import lowers

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor
    from edgeopt_tflite.values import Value

__all__: list[str] = []

aten = torch.ops.aten


@lowers(aten.matmul.default)
def _product(e: Emitter, node: torch.fx.Node) -> None:
    """A factor that is transposed in memory is read as it is, where the kernel can do it."""
    left, right = (e.value(n) for n in node.args[:2])  # type: ignore[arg-type]
    if len(left.shape) == 1:
        left = e.view(left, (1, *left.shape))
    if len(right.shape) == 1:
        right = e.view(right, (*right.shape, 1))
    rank = max(len(left.shape), len(right.shape))
    left, right = (e.view(v, (1,) * (rank - len(v.shape)) + v.shape) for v in (left, right))
    a = e.read(left, orders.identity(rank)).tensor
    b, transposed = _second(e, right, rank)
    if a is b and not orders.same_memory(left.shape, left.copies[0].order, orders.identity(rank)):
        # XNNPACK takes the transposition that makes one tensor of both factors for that of the
        # first alone: xᵀ·x comes out. The second gets a tensor of its own.
        swapped = (*range(rank - 2), rank - 1, rank - 2)
        b, transposed = e.read(right, swapped).tensor, True
    batch = [max(x, y) for x, y in zip(left.shape[:-2], right.shape[:-2], strict=True)]
    shape = (*batch, left.shape[-2], right.shape[-1])
    output = e.emit(
        "BATCH_MATMUL", [a, b], shape, "BatchMatMul",
        adjX=False, adjY=transposed, asymmetricQuantizeInputs=False,
    )  # fmt: skip
    e.write(node, output, orders.identity(rank), shape)


def _second(e: Emitter, value: Value, rank: int) -> tuple[Tensor, bool]:
    """Returns the second factor, and whether its last two dimensions are swapped in memory."""
    swapped = (*range(rank - 2), rank - 1, rank - 2)
    lies_swapped = value.array is None and not any(
        orders.same_memory(value.shape, h.order, orders.identity(rank)) for h in value.copies
    )
    if lies_swapped and _nearer(value, swapped):
        return e.read(value, swapped).tensor, True
    return e.read(value, orders.identity(rank)).tensor, False


def _nearer(value: Value, swapped: orders.Order) -> bool:
    """Whether memory with the last two dimensions swapped is the cheaper one to come by."""
    if any(orders.same_memory(value.shape, h.order, swapped) for h in value.copies):
        return True
    first = value.copies[0].order
    return first.index(len(swapped) - 1) < first.index(len(swapped) - 2)


@lowers(aten.softmax.int, aten._softmax.default, aten.log_softmax.int)  # noqa: SLF001 (an operator's name)
def _softmax(e: Emitter, node: torch.fx.Node) -> None:
    value = e.operand(node)
    axis = int(node.args[1]) % len(value.shape)  # type: ignore[arg-type]
    operand = e.read(value, last=axis)
    if node.target is aten.log_softmax.int:
        output = e.emit("LOG_SOFTMAX", [operand.tensor], operand.tensor.shape, "LogSoftmax")
    else:
        output = e.emit("SOFTMAX", [operand.tensor], operand.tensor.shape, "Softmax", beta=1.0)
    e.write(node, output, operand.order)
