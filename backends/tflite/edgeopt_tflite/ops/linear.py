"""Linear: a matrix product with a constant weight."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from edgeopt.ir import orders
from edgeopt.ir.ops import weighted_parts
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import Fusion, fusion_of, limited
from edgeopt_tflite.ops.convolution import bias_of, constant_weight
from edgeopt_tflite.passes import ROUND_ROWS
from edgeopt_tflite.values import Copy

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor
    from edgeopt_tflite.values import Value

__all__: list[str] = []

aten = torch.ops.aten


@lowers(ROUND_ROWS)
def _rounded_rows(e: Emitter, node: torch.fx.Node) -> None:
    """The linear behind it does it."""
    e.write_view(node, e.operand(node))


@lowers(aten.linear.default)
def _linear(e: Emitter, node: torch.fx.Node) -> None:
    if constant_weight(e, node):
        _product(e, node)
        return
    integer = e.is_integer(node)
    fusion = fusion_of(e, node, integer=integer)
    value = e.operand(node)
    value = e.view(value, (1, *value.shape)) if len(value.shape) == 1 else value
    weight = e.operand(node, 1)
    operand = _rows(e, value, integer=integer)
    output = _fully_connected(e, node, operand.tensor, weight, fusion)
    shape = (*value.shape[:-1], weight.shape[0])
    e.write(fusion.result, limited(e, output, fusion.limits), operand.order, shape)


def _product(e: Emitter, node: torch.fx.Node) -> None:
    """The same with a weight that the model computes: a product of two values."""
    value, weight = e.operand(node), e.operand(node, 1)
    rank = max(len(value.shape), 2)
    value = e.view(value, (1,) * (rank - len(value.shape)) + value.shape)
    weight = e.view(weight, (1,) * (rank - 2) + weight.shape)
    shape = (*value.shape[:-1], weight.shape[-2])
    pair = [e.read(v, orders.identity(rank)).tensor for v in (value, weight)]
    output = e.emit("BATCH_MATMUL", pair, shape, "BatchMatMul", adjX=False, adjY=True)
    bias = weighted_parts(node)[2]
    if bias is not None:
        added = e.read(e.value(bias)).tensor
        output = e.emit("ADD", [output, added], shape, "Add", fusedActivationFunction=0)
    e.write(node, output, orders.identity(rank), shape)


def _rows(e: Emitter, value: Value, *, integer: bool) -> Copy:
    """Returns the input with its last dimension last in memory.

    A matrix needs no RESHAPE: the kernel flattens what it is given.
    """
    if len(value.shape) == 2 and value.array is None:  # noqa: PLR2004 (a matrix)
        rows = orders.identity(2)
        for copy in value.copies:
            flat = orders.same_memory(value.shape, copy.order, rows)
            fits = bool(copy.tensor.shape) and copy.tensor.shape[-1] == value.shape[1]
            if flat and fits and (copy.tensor.grid is not None) == integer:
                return Copy(copy.tensor, rows)
    return e.read(value, last=len(value.shape) - 1, integer=integer)


def _fully_connected(
    e: Emitter, node: torch.fx.Node, tensor: Tensor, weight: Value, fusion: Fusion
) -> Tensor:
    integer = tensor.grid is not None
    assert weight.array is not None  # noqa: S101 (checked before)
    hybrid = node.args[0].target is ROUND_ROWS  # type: ignore[union-attr]
    filters = e.stored(weight, weight.array, integer=integer or hybrid)
    keep = len(e.shape(node)) > 2  # noqa: PLR2004 (a matrix)
    rows = tensor.shape[:-1] if keep else (math.prod(tensor.shape[:-1]),)
    return e.emit(
        "FULLY_CONNECTED",
        [tensor, filters, bias_of(e, node, filters, tensor, 0, integer=integer)],
        [*rows, weight.shape[0]],
        "FullyConnected",
        grid=e.grid(fusion.result) if integer else None,
        fusedActivationFunction=fusion.code,
        keepNumDims=keep,
        asymmetricQuantizeInputs=hybrid,
    )
