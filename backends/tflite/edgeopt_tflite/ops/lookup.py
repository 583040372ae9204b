"""Reading by index, changes of type, and values that depend on no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.ir import orders
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import cast
from edgeopt_tflite.values import Value

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@lowers(aten.embedding.default)
def _embedding(e: Emitter, node: torch.fx.Node) -> None:
    _gather(e, node, node.args[0], node.args[1], 0)


@lowers(aten.index_select.default)
def _index_select(e: Emitter, node: torch.fx.Node) -> None:
    axis = int(node.args[1]) % len(e.shape(node.args[0]))  # type: ignore[arg-type]
    _gather(e, node, node.args[0], node.args[2], axis)


def _one_index(e: Emitter, node: torch.fx.Node) -> str:
    indices: Any = node.args[1]
    tensors = [i for i in indices if i is not None]
    if len(tensors) != 1 or tensors[0].meta["val"].dtype is torch.bool:
        return "it indexes with several tensors, or with a mask"
    if not e.is_constant(tensors[0]):
        return "it indexes with computed numbers, of which those below 0 count from the end"
    return ""


@lowers(aten.index.Tensor, refusal=_one_index)
def _index(e: Emitter, node: torch.fx.Node) -> None:
    indices: Any = node.args[1]
    axis = next(i for i, n in enumerate(indices) if n is not None)
    _gather(e, node, node.args[0], indices[axis], axis)


def _gather(e: Emitter, node: torch.fx.Node, table: Any, index: Any, axis: int) -> None:
    """Indices below 0 count from the end in torch; a constant one is made positive."""
    value, places = e.value(table), e.value(index)
    if places.array is not None:
        positive = np.where(places.array < 0, places.array + value.shape[axis], places.array)
        places = Value(places.name, places.shape, "int32", array=positive.astype(np.int32))
    integer = e.is_integer(node)  # a table on the grid of what is read stays integers
    rows = e.read(value, orders.identity(len(value.shape)), integer=integer).tensor
    where = e.read(places, orders.identity(len(places.shape))).tensor
    output = e.emit(
        "GATHER", [rows, where], e.shape(node), "Gather",
        dtype=rows.dtype, grid=rows.grid, axis=axis, batchDims=0,
    )  # fmt: skip
    e.write(node, output, orders.identity(len(e.shape(node))))


@lowers(aten._to_copy.default, aten.to.dtype)  # noqa: SLF001 (an operator's name)
def _cast(e: Emitter, node: torch.fx.Node) -> None:
    operand = e.read(e.operand(node))
    e.write(node, cast(e, operand.tensor, e.dtype(node)), operand.order)


_FILLS: dict[Any, Any] = {
    aten.zeros_like.default: lambda _: 0,
    aten.ones_like.default: lambda _: 1,
    aten.full_like.default: lambda node: node.args[1],
}


@lowers(*_FILLS)
def _fill(e: Emitter, node: torch.fx.Node) -> None:
    shape = e.shape(node)
    content = np.full(shape, _FILLS[node.target](node), e.dtype(node))
    tensor = e.model.constant(node.name, content)
    e.write(node, tensor, orders.identity(len(shape)))
