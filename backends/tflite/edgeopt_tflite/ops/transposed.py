"""Transposed convolution: one TRANSPOSE_CONV a group, and what torch's padding cuts off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ai_edge_litert.schema_py_generated import Padding as PaddingCode

from edgeopt.ir import ops
from edgeopt.ir.orders import NHWC
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import fusion_of, limited
from edgeopt_tflite.ops.convolution import constant_weight
from edgeopt_tflite.ops.views import slice_of

if TYPE_CHECKING:
    from edgeopt.ir import QuantSpec
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__: list[str] = []

aten = torch.ops.aten


def _check(e: Emitter, node: torch.fx.Node) -> str:
    padding: Any = node.args[4]
    extra: Any = node.args[5]
    if any(o > p for o, p in zip(extra, padding, strict=True)):
        return f"its output_padding {extra} is larger than its padding {padding}"
    return constant_weight(e, node)


@lowers(aten.conv_transpose2d.input, refusal=_check)
def _transposed_convolution(e: Emitter, node: torch.fx.Node) -> None:
    integer = e.is_integer(node)
    fusion = fusion_of(e, node, integer=integer)
    grid = e.grid(fusion.result) if integer else None
    tensor = e.read(e.operand(node), NHWC, integer=integer).tensor
    count = int(node.args[6])  # type: ignore[arg-type]
    parts = [_one_group(e, node, tensor, (i, count), grid) for i in range(count)]
    output = parts[0]
    if count > 1:
        shape = [*output.shape[:3], e.shape(node)[1]]
        output = e.emit("CONCATENATION", parts, shape, "Concatenation", grid=grid, axis=3)
    if fusion.result is not node:
        output = limited(
            e,
            output,
            fusion.limits or (ops.activation_bounds(fusion.result) if fusion.code else None),
        )
    e.write(fusion.result, output, NHWC)


def _one_group(
    e: Emitter,
    node: torch.fx.Node,
    tensor: Tensor,
    group: tuple[int, int],
    grid: QuantSpec | None,
) -> Tensor:
    """Returns what group ``(index, count)`` gives; TFLite knows no groups here."""
    index, count = group
    stride, padding, extra = (list(a) for a in (node.args[3], node.args[4], node.args[5]))  # type: ignore[arg-type]
    integer = grid is not None
    filters = _filters(e, node, group, integer=integer)
    width = tensor.shape[3] // count
    if count > 1:
        tensor = slice_of(e, tensor, [0, 0, 0, index * width], [*tensor.shape[:3], width])
    whole = [(tensor.shape[i + 1] - 1) * stride[i] + filters.shape[i + 1] for i in range(2)]
    size = [whole[i] - 2 * padding[i] + extra[i] for i in range(2)]
    same = all(
        -(-size[i] // stride[i]) == tensor.shape[i + 1]
        and max(whole[i] - size[i], 0) // 2 == padding[i]
        for i in range(2)
    )
    extent = size if same else whole
    shape = [tensor.shape[0], *extent, filters.shape[0]]
    result = e.emit(
        "TRANSPOSE_CONV",
        [e.integers(shape), filters, tensor, _bias(e, node, group, integer=integer)],
        shape,
        "TransposeConv",
        grid=grid,
        padding=PaddingCode.SAME if same else PaddingCode.VALID,
        strideH=stride[0],
        strideW=stride[1],
    )
    if same or size == whole:
        return result
    return slice_of(e, result, [0, *padding, 0], [shape[0], *size, shape[3]])


def _filters(e: Emitter, node: torch.fx.Node, group: tuple[int, int], *, integer: bool) -> Tensor:
    """Returns (O, H, W, I) of torch's (I, O, H, W), spread out where it is dilated."""
    index, count = group
    weight = e.operand(node, 1)
    array = weight.array
    assert array is not None  # noqa: S101 (checked before)
    rows = array.shape[0] // count
    part = _dilated(array[index * rows : (index + 1) * rows], list(node.args[7]))  # type: ignore[arg-type]
    return e.stored(weight, part.transpose(1, 2, 3, 0), integer=integer)


def _dilated(array: np.ndarray, dilation: list[int]) -> np.ndarray:
    if dilation == [1, 1]:
        return array
    size = [(array.shape[i + 2] - 1) * dilation[i] + 1 for i in range(2)]
    spread = np.zeros((*array.shape[:2], *size), array.dtype)
    spread[:, :, :: dilation[0], :: dilation[1]] = array
    return spread


def _bias(
    e: Emitter, node: torch.fx.Node, group: tuple[int, int], *, integer: bool
) -> Tensor | None:
    index, count = group
    if node.args[2] is None:
        return None
    value = e.operand(node, 2)
    assert value.array is not None  # noqa: S101 (checked before)
    width = value.size // count
    return e.stored(value, value.array[index * width : (index + 1) * width], integer=integer)
