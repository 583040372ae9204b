"""Convolutions. Values are channels-last; a one-dimensional one has a height of 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ai_edge_litert.schema_py_generated import Padding as PaddingCode

from edgeopt.contracts.storage import INT16
from edgeopt.ir import ops
from edgeopt.ir.orders import NHWC
from edgeopt.quantization.quantized_program import bias_spec
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import fusion_of, limited
from edgeopt_tflite.ops.views import pad_channels_last, spatial_pads
from edgeopt_tflite.padding import Axis, Padding, plan_padding

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor
    from edgeopt_tflite.values import Value

__all__ = ["bias_of", "constant_weight"]

aten = torch.ops.aten


@dataclass(frozen=True)
class _Window:
    """The arguments of a convolution, for two dimensions."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


def constant_weight(e: Emitter, node: torch.fx.Node) -> str:
    """Returns a refusal where the weight or bias of a weighted operator is not a constant."""
    _, weight, bias = ops.weighted_parts(node)
    parameters = [weight] if bias is None else [weight, bias]
    if not all(e.is_constant(n) for n in parameters):
        return "its weight is computed by the model; TFLite needs a constant one"
    return ""


@lowers(aten.conv1d.default, aten.conv2d.default, refusal=constant_weight)
def _convolution(e: Emitter, node: torch.fx.Node) -> None:
    integer = e.is_integer(node)
    weight = _as_2d(e, e.operand(node, 1))
    window = _window(node, weight)
    fusion = fusion_of(e, node, integer=integer)
    out = _full_shape(e.shape(node))
    tensor, padding = _padded_input(e, node, window, out, integer=integer)
    channels = tensor.shape[-1]
    depthwise = window.groups == channels and channels > 1
    filters, axis = _filters(e, weight, depthwise=depthwise, integer=integer)
    more: dict[str, Any] = {"depthMultiplier": out[1] // channels} if depthwise else {}
    tensor = e.emit(
        "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
        [tensor, filters, bias_of(e, node, filters, tensor, axis, integer=integer)],
        [out[d] for d in NHWC],
        "DepthwiseConv2D" if depthwise else "Conv2D",
        grid=e.grid(fusion.result) if integer else None,
        padding=PaddingCode.SAME if padding.same else PaddingCode.VALID,
        strideH=window.stride[0],
        strideW=window.stride[1],
        dilationHFactor=window.dilation[0],
        dilationWFactor=window.dilation[1],
        fusedActivationFunction=fusion.code,
        **more,
    )
    e.write(fusion.result, limited(e, tensor, fusion.limits), NHWC, out)


def _as_2d(e: Emitter, weight: Value) -> Value:
    shape = weight.shape
    return e.view(weight, (*shape[:2], 1, *shape[2:])) if len(shape) == 3 else weight  # noqa: PLR2004


def _window(node: torch.fx.Node, weight: Value) -> _Window:
    stride, padding, dilation, groups = node.args[3:7]
    return _Window(
        (weight.shape[2], weight.shape[3]),
        _pair(stride, 1),
        _pair(padding, 0),
        _pair(dilation, 1),
        int(groups),  # type: ignore[arg-type]
    )


def _pair(value: Any, missing: int) -> tuple[int, int]:
    items = [int(v) for v in value]
    return (missing, items[0]) if len(items) == 1 else (items[0], items[1])


def _full_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns (N, C, H, W) of a shape that may lack the height."""
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else shape  # noqa: PLR2004


def _padded_input(
    e: Emitter, node: torch.fx.Node, window: _Window, out: tuple[int, ...], *, integer: bool
) -> tuple[Tensor, Padding]:
    """Returns the input, padded by an operator only where the kernel cannot do it."""
    source: Any = node.args[0]
    before = list(window.padding)
    pads = spatial_pads(e, source)
    if pads is not None:
        source = source.args[0]
        before = [b + low for b, (low, _) in zip(before, pads, strict=True)]
    value = e.value(source)
    value = e.view(value, _full_shape(value.shape))
    axes = [
        Axis(value.shape[i + 2], window.kernel[i], window.stride[i], window.dilation[i],
             before[i], out[i + 2])
        for i in range(2)
    ]  # fmt: skip
    padding = plan_padding(axes)
    tensor = e.read(value, NHWC, integer=integer).tensor
    if padding.amounts:
        tensor = pad_channels_last(e, tensor, padding.amounts)
    return tensor, padding


def _filters(e: Emitter, weight: Value, *, depthwise: bool, integer: bool) -> tuple[Tensor, int]:
    """Returns the weight as TFLite has it, and the axis of its output channels.

    (O, I, H, W) becomes (O, H, W, I), or (1, H, W, O) for a depthwise convolution.
    """
    axes, axis = ((1, 2, 3, 0), 3) if depthwise else ((0, 2, 3, 1), 0)
    array = weight.array
    assert array is not None  # noqa: S101 (checked before)
    return e.stored(weight, array.transpose(axes), integer=integer, axis=axis), axis


def bias_of(
    e: Emitter, node: torch.fx.Node, filters: Tensor, tensor: Tensor, axis: int, *, integer: bool
) -> Tensor:
    """Returns the bias of a weighted operator: its own, or zeros."""
    bias = ops.weighted_parts(node)[2]
    if bias is not None:
        value = e.value(bias)
        assert value.array is not None  # noqa: S101 (checked before)
        wide = tensor.grid is not None and tensor.grid.storage == INT16
        return e.stored(value, value.array, integer=integer, dtype="int64" if wide else "")
    channels = filters.shape[axis]
    if not integer:
        return e.model.constant("no_bias", np.zeros(channels, np.float32))
    assert tensor.grid is not None  # noqa: S101 (both are integers)
    assert filters.grid is not None  # noqa: S101
    spec = bias_spec(tensor.grid, filters.grid)
    dtype = np.int64 if tensor.grid.storage == INT16 else np.int32
    return e.model.constant("no_bias", np.zeros(channels, dtype), spec)
