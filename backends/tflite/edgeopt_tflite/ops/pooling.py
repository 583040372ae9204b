"""Pooling. Values are channels-last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ai_edge_litert.schema_py_generated import Padding as PaddingCode

from edgeopt.contracts.storage import INT8
from edgeopt.ir import QuantSpec, ops
from edgeopt.ir.orders import NHWC
from edgeopt.quantization.quantized_program import bias_spec
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.reduction import reduce_held
from edgeopt_tflite.ops.views import pad_channels_last, padded, strided
from edgeopt_tflite.padding import Axis, Padding, explicit_padding, plan_padding
from edgeopt_tflite.values import Copy

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

__all__: list[str] = []

aten = torch.ops.aten


@lowers(aten.max_pool2d.default)
def _max_pool(e: Emitter, node: torch.fx.Node) -> None:
    integer = e.is_integer(node)
    tensor = _input(e, node, integer=integer)
    axes = _axes(tensor, node, e.shape(node), node.args[4])
    dilated = any(a.dilation != 1 for a in axes)
    padding = explicit_padding(axes) if dilated else plan_padding(axes)
    if padding.amounts and _never_negative(node.args[0]):
        tensor = pad_channels_last(e, tensor, padding.amounts)
    elif padding.amounts:
        tensor = padded(e, tensor, [(0, 0), *padding.amounts, (0, 0)], -math.inf)
    if dilated:
        for at, axis in enumerate(axes):
            tensor = _largest_of_taps(e, tensor, at + 1, axis)
        e.write(node, tensor, NHWC, _full(e.shape(node)))
        return
    _pool(e, node, "MAX_POOL_2D", tensor, same=padding.same)


def _largest_of_taps(e: Emitter, tensor: Tensor, at: int, axis: Axis) -> Tensor:
    """Returns the largest of an axis's windows, padded before, tap by tap: MAX_POOL_2D has no dilation."""
    largest: Tensor | None = None
    for tap in range(axis.kernel):
        start, steps = tap * axis.dilation, axis.out
        elements = strided(e, tensor, at, start, axis.stride, steps)
        largest = elements if largest is None else e.emit(
            "MAXIMUM", [largest, elements], elements.shape, "MaximumMinimum",
            dtype=elements.dtype, grid=elements.grid,
        )  # fmt: skip
    assert largest is not None  # noqa: S101 (a window has at least one tap)
    return largest


def _never_negative(node: Any) -> bool:
    """Whether zeros around the value can not become its maximum."""
    return (
        node.target in (aten.relu.default, aten.clamp.default)
        and ops.activation_bounds(node)[0] >= 0
    )


def _covers_all(axes: list[Axis]) -> bool:
    """Whether there is one window, of the whole input and no padding."""
    return all(a.out == 1 and a.before == 0 and a.kernel >= a.size for a in axes)


def _axes_of(node: torch.fx.Node) -> list[Axis]:
    value: Any = node.args[0]
    size = [int(d) for d in value.meta["val"].shape[-2:]]
    out = [int(d) for d in node.meta["val"].shape[-2:]]
    arguments: Any = node.args
    kernel, stride, padding = arguments[1:4]
    return [Axis(size[i], kernel[i], stride[i], 1, padding[i], out[i]) for i in range(2)]


@lowers(aten.avg_pool2d.default)
def _average_pool(e: Emitter, node: torch.fx.Node) -> None:
    """TFLite leaves padding out of the mean; where torch counts it, zeros are added in front."""
    axes, counted = _axes_of(node), bool(node.args[5])
    if not _is_counted_alike(node, axes):
        _average_by_counts(e, node, axes)
        return
    integer = e.is_integer(node)
    tensor = _input(e, node, integer=integer)
    if integer and _as_convolution_fits(axes, tensor, counted=counted):
        _average_by_convolution(e, node, tensor, axes)
        return
    if _covers_all(axes):
        operand, shape = Copy(tensor, NHWC), (tensor.shape[0], tensor.shape[3], 1, 1)
        output = reduce_held(e, "MEAN", operand, (2, 3), keep=True, grid=tensor.grid)
        e.write(node, output, NHWC, shape)
        return
    if integer and _has_many_ties(node):
        _average_by_counts(e, node, axes)
        return
    padding = plan_padding(axes)
    amounts = tuple((a.before, max(a.after, 0)) for a in axes)
    if counted and any(max(pair) for pair in amounts):
        tensor = pad_channels_last(e, tensor, amounts)
        _pool(e, node, "AVERAGE_POOL_2D", tensor, same=False)
        return
    _pool(e, node, "AVERAGE_POOL_2D", tensor, same=padding.same)


def _is_counted_alike(node: torch.fx.Node, axes: list[Axis]) -> bool:
    """Whether TFLite divides by what torch divides by, with zeros in front where padding counts."""
    padding, ceil_mode, count_padding, divisor = node.args[3:7]
    if divisor is not None:
        return False
    if (not any(padding) and not ceil_mode) or _covers_all(axes):  # type: ignore[arg-type]
        return True
    if not count_padding:
        return not plan_padding(axes).amounts
    return all(a.after <= p for a, p in zip(axes, padding, strict=True))  # type: ignore[arg-type]


def _has_many_ties(node: torch.fx.Node) -> bool:
    """Whether half of the windows hold an even number of values: AVERAGE_POOL_2D rounds ties away from zero.

    At the edges of a large map alone they are few, and its kernel is the faster one.
    """
    return float((_counts(node) % 2 == 0).float().mean()) >= 0.5  # noqa: PLR2004


def _average_by_counts(e: Emitter, node: torch.fx.Node, axes: list[Axis]) -> None:
    """Writes the mean of each window, of what torch divides it by, in float.

    On int8 it adds up whole steps: means of an even number of them often are ties, and a tie is
    one only where it is divided exactly.
    """
    parameters = e.grid(node)
    tensor = _input(e, node, integer=parameters is not None)
    steps = tensor.grid is not None and parameters is not None
    if steps:
        e.note_exact()
        tensor = _steps(e, tensor)
    tensor = pad_channels_last(e, tensor, explicit_padding(axes).amounts)
    divisors = _counts(node).permute(NHWC).contiguous()
    if steps:
        total = _summed(e, node, tensor, axes)
    else:  # the sum is a convolution, whose kernel goes beyond a window by zeros: times infinity they are no number
        total = _pooled(e, node, "AVERAGE_POOL_2D", tensor)
        divisors = divisors / math.prod(a.kernel for a in axes)
    counts = e.model.constant("counts", divisors.numpy())
    mean = e.emit("DIV", [total, counts], total.shape, "Div", fusedActivationFunction=0)
    if steps and parameters is not None:
        whole = e.emit("ROUND", [mean], mean.shape)
        scale = e.scalar(float(parameters.scale[0]), "float32")
        mean = e.emit("MUL", [whole, scale], mean.shape, "Mul", fusedActivationFunction=0)
    e.write(node, mean, NHWC, _full(e.shape(node)))


def _steps(e: Emitter, tensor: Tensor) -> Tensor:
    """Returns the integers of ``tensor`` less their zero point, as float32."""
    assert tensor.grid is not None  # noqa: S101 (the caller looked)
    whole = e.emit("CAST", [tensor], tensor.shape, "Cast", dtype="float32")
    zero = e.scalar(float(tensor.grid.zero_point[0]), "float32")
    return e.emit("SUB", [whole, zero], tensor.shape, "Sub", fusedActivationFunction=0)


def _counts(node: torch.fx.Node) -> torch.Tensor:
    """Returns what torch divides each window's sum by, of shape (1, 1, height, width)."""
    x: Any = node.args[0]
    inside = torch.ones(1, 1, *x.meta["val"].shape[-2:])
    arguments: Any = node.args[
        1:7
    ]  # kernel, stride, padding, ceil_mode, count_include_pad, divisor
    average: Any = torch.nn.functional.avg_pool2d
    sums = average(inside, *arguments[:5], 1)
    return torch.round(sums / average(inside, *arguments))


def _summed(e: Emitter, node: torch.fx.Node, tensor: Tensor, axes: list[Axis]) -> Tensor:
    channels, full = tensor.shape[3], _full(e.shape(node))
    ones = np.ones((1, *(a.kernel for a in axes), channels), np.float32)
    return e.emit(
        "DEPTHWISE_CONV_2D",
        [tensor, e.model.constant("ones", ones), e.model.constant("no_bias", np.zeros(channels, np.float32))],
        [full[d] for d in NHWC], "DepthwiseConv2D",
        padding=PaddingCode.VALID, strideH=axes[0].stride, strideW=axes[1].stride,
        depthMultiplier=1, dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip


_MOST_WEIGHTS = 1 << 14
_UNIT = 64
"""The integer that stands for one window's share: a power of two keeps ties exact."""


def _as_convolution_fits(axes: list[Axis], tensor: Tensor, *, counted: bool) -> bool:
    taps = math.prod(min(a.kernel, a.size) if _covers_all(axes) else a.kernel for a in axes)
    padded_somewhere = any(a.before > 0 or a.after > 0 for a in axes)
    same_count = counted or not padded_somewhere or _covers_all(axes)
    return same_count and tensor.shape[3] > 1 and taps * tensor.shape[3] <= _MOST_WEIGHTS


def _average_by_convolution(
    e: Emitter, node: torch.fx.Node, tensor: Tensor, axes: list[Axis]
) -> None:
    """Writes the mean as a depthwise convolution with equal weights.

    The integer AVERAGE_POOL_2D rounds ties away from zero, the zero point included; a convolution
    rounds them to even, as the reference does, and is the faster kernel.
    """
    whole, channels = _covers_all(axes), tensor.shape[3]
    kernel = [min(a.kernel, a.size) if whole else a.kernel for a in axes]
    scale = torch.full((channels,), 1 / (_UNIT * math.prod(kernel)), dtype=torch.float32)
    zero = torch.zeros(channels, dtype=torch.int32)
    weights = np.full((1, *kernel, channels), _UNIT, np.int8)
    filters = e.model.constant("mean", weights, QuantSpec(INT8, scale, zero, axis=0), axis=3)
    assert tensor.grid is not None  # noqa: S101 (the caller looked)
    bias = bias_spec(tensor.grid, QuantSpec(INT8, scale, zero, axis=0))
    padding = Padding(same=False) if whole else plan_padding(axes)
    if padding.amounts:
        tensor = pad_channels_last(e, tensor, padding.amounts)
    full = _full(e.shape(node))
    output = e.emit(
        "DEPTHWISE_CONV_2D",
        [tensor, filters, e.model.constant("no_bias", np.zeros(channels, np.int32), bias)],
        [full[d] for d in NHWC], "DepthwiseConv2D",
        grid=tensor.grid,
        padding=PaddingCode.SAME if padding.same else PaddingCode.VALID,
        strideH=axes[0].stride, strideW=axes[1].stride, depthMultiplier=1,
        dilationHFactor=1, dilationWFactor=1,
    )  # fmt: skip
    e.write(node, output, NHWC, full)


def _full(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *shape) if len(shape) == 3 else shape  # noqa: PLR2004 (no batch)


def _input(e: Emitter, node: torch.fx.Node, *, integer: bool) -> Tensor:
    value = e.operand(node)
    if len(value.shape) == 3:  # noqa: PLR2004 (no batch)
        value = e.view(value, (1, *value.shape))
    return e.read(value, NHWC, integer=integer).tensor


def _axes(tensor: Tensor, node: torch.fx.Node, shape: tuple[int, ...], dilation: Any) -> list[Axis]:
    arguments: Any = node.args
    kernel, stride, padding = arguments[1:4]
    return [
        Axis(tensor.shape[i + 1], kernel[i], stride[i], dilation[i], padding[i], shape[i - 2])
        for i in range(2)
    ]


def _pool(e: Emitter, node: torch.fx.Node, code: str, tensor: Tensor, *, same: bool) -> None:
    e.write(node, _pooled(e, node, code, tensor, same=same), NHWC, _full(e.shape(node)))


def _pooled(
    e: Emitter, node: torch.fx.Node, code: str, tensor: Tensor, *, same: bool = False
) -> Tensor:
    arguments: Any = node.args
    kernel, stride = arguments[1:3]
    full = _full(e.shape(node))
    return e.emit(
        code, [tensor], [full[d] for d in NHWC], "Pool2D",
        grid=tensor.grid,
        padding=PaddingCode.SAME if same else PaddingCode.VALID,
        strideH=stride[0], strideW=stride[1], filterHeight=kernel[0], filterWidth=kernel[1],
    )  # fmt: skip
