"""Means, sums and extremes along dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import orders
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import axes_in_memory, cast
from edgeopt_tflite.values import Copy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.ir import QuantSpec
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["reduce_held"]

aten = torch.ops.aten

_CODES: dict[Any, str] = {
    aten.all.dim: "REDUCE_ALL",
    aten.amax.default: "REDUCE_MAX",
    aten.amin.default: "REDUCE_MIN",
    aten.any.dim: "REDUCE_ANY",
    aten.mean.dim: "MEAN",
    aten.sum.dim_IntList: "SUM",
}


@lowers(*_CODES)
def _reduce(e: Emitter, node: torch.fx.Node) -> None:
    code = _CODES[node.target]
    integer = code == "MEAN" and e.is_integer(node)
    value = e.operand(node)
    operand = e.read(value, integer=integer)
    axes, keep = _arguments(node, len(value.shape))
    if not integer:
        operand = Copy(cast(e, operand.tensor, e.dtype(node)), operand.order)
    grid = e.grid(node) if integer else None
    tensor = reduce_held(e, code, operand, axes, keep=keep, grid=grid)
    order = operand.order if keep else orders.reduced(operand.order, axes)
    e.write(node, tensor, order)


def _arguments(node: torch.fx.Node, rank: int) -> tuple[list[int], bool]:
    axes: Any = node.args[1] if len(node.args) > 1 else None
    listed = [axes] if isinstance(axes, int) else list(axes or range(rank))
    keep = bool(node.args[2]) if len(node.args) > 2 else bool(node.kwargs.get("keepdim"))  # noqa: PLR2004
    return [int(a) % rank for a in listed], keep


def reduce_held(
    e: Emitter,
    code: str,
    held: Copy,
    axes: Sequence[int],
    *,
    keep: bool,
    grid: QuantSpec | None = None,
) -> Tensor:
    """Returns what ``code`` makes of ``held`` along the logical dimensions ``axes``.

    Args:
        e: The emitter.
        code: ``MEAN``, ``SUM`` …
        held: The input.
        axes: Logical dimensions.
        keep: Whether they stay, with size 1.
        grid: The grid of the result.
    """
    places = axes_in_memory(held.order, axes)
    tensor = held.tensor
    shape = [1 if i in places else n for i, n in enumerate(tensor.shape)]
    if not keep:
        shape = [n for i, n in enumerate(tensor.shape) if i not in places]
    return e.emit(
        code, [tensor, e.integers(places)], shape, "Reducer",
        dtype=tensor.dtype, grid=grid, keepDims=keep,
    )  # fmt: skip


@lowers(aten.argmax.default, aten.argmin.default)
def _position(e: Emitter, node: torch.fx.Node) -> None:
    value = e.operand(node)
    axis: Any = node.args[1] if len(node.args) > 1 else None
    if axis is None:
        value, axis = e.view(value, (value.size,)), 0
    axis = int(axis) % len(value.shape)
    operand = e.read(value)
    kind = "Max" if node.target is aten.argmax.default else "Min"
    order = orders.reduced(operand.order, [axis])
    shape = [n for d, n in zip(operand.order, operand.tensor.shape, strict=True) if d != axis]
    place = e.integers([operand.order.index(axis)])
    output = e.emit(
        f"ARG_{kind.upper()}", [operand.tensor, place], shape, f"Arg{kind}",
        dtype="int64", outputType=_INT64,
    )  # fmt: skip
    logical = tuple(n for d, n in enumerate(value.shape) if d != axis)
    e.write(node, output, order, logical)


_INT64 = 4
"""``TensorType.INT64``."""


@lowers(aten.cumsum.default)
def _running_sum(e: Emitter, node: torch.fx.Node) -> None:
    value = e.operand(node)
    operand = e.read(value)
    at = e.integers([operand.order.index(int(node.args[1]) % len(operand.order))])  # type: ignore[arg-type]
    output = e.emit(
        "CUMSUM", [operand.tensor, at], operand.tensor.shape, "Cumsum", dtype=operand.tensor.dtype,
        exclusive=False, reverse=False,
    )  # fmt: skip
    e.write(node, output, operand.order)
