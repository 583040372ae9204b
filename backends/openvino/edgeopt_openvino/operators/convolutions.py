"""Convolutions; their weights are written as integers times scales where they have a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir.macs import node_macs
from edgeopt_openvino import constants
from edgeopt_openvino.operator_rules import rule
from edgeopt_openvino.parameters import kept_real, on_integers, unfused

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

VECTOR, MANY_TAPS = 16, 14
"""Channels, and taps along the last axis, from which on OpenVINO's integer kernel of one channel each is not generated."""

FEW_MACS = 2048
"""Multiply-adds up to which a convolution in groups may go to a kernel for few (304 were seen to, 336 not to)."""


@rule(aten.conv1d.default, aten.conv2d.default)
def convolution(e: Emitter, node: Any) -> Any:
    """A convolution of one or two dimensions, grouped or not."""
    x, weight, bias, stride, padding, dilation, groups = node.args
    ends = list(padding)
    if _loses_its_window(e, node) or _hands_strides_on(e, node):
        kernel = constants.constant(e.program, weight.name, _lengthened(e, node))
        ends = [int(end) + int(step) for end, step in zip(ends, dilation, strict=True)]
    elif _never_compiles(e, node) or _is_wrong_in_groups(e, node):
        kernel, groups = constants.constant(e.program, weight.name, _dense(int(groups))), 1
    else:
        kernel = e.value(weight) if groups == 1 else _grouped(e, weight, int(groups))
    make = op.convolution if groups == 1 else op.group_convolution
    value = _unscaled(e.value(x))
    apart = _becomes_a_product(e, node)
    if apart and x.target is aten.permute.default:
        value = unfused(value)
    result = _biased(e, node, make(value, kernel, stride, padding, ends, dilation), bias)
    permuted = any(user.target is aten.permute.default for user in node.users)
    return unfused(result) if apart and permuted else result


def _unscaled(value: Any) -> Any:
    """Returns the input of a convolution, behind an operator that no factor of it passes.

    OpenVINO multiplies the kernel by what the input is multiplied by (MultiplyConvolutionFusion), also where that
    differs from pixel to pixel and has by chance the sizes of the kernel.
    """
    maker = value.get_node()
    if maker.get_type_name() not in ("Multiply", "Divide"):
        return value
    sizes, axes = tuple(value.shape), len(value.shape) - 2
    factors = [tuple(source.shape) for source in maker.input_values()]
    differs = any(max((1, *shape[-axes:])) > 1 for shape in factors if shape != sizes)
    return unfused(value) if differs else value


def _becomes_a_product(e: Emitter, node: Any) -> bool:
    """Returns whether OpenVINO makes a product of this convolution: of a float kernel of one tap, its weight in int8.

    It takes a transpose before or behind it for that of channels to the last axis, whatever it moves, and forgets
    padding and stride (ConvertWeightCompressedConv1x1ToMatmul).
    """
    x, weight, *_ = node.args
    spec = e.program.quant.get(weight.name)
    is_stored = spec is not None and spec.storage == INT8 and not on_integers(e.program, x)
    return is_stored and set(e.shape(weight)[2:]) == {1}


def _hands_strides_on(e: Emitter, node: Any) -> bool:
    """Returns whether OpenVINO may give strides behind this convolution to one in front of it, without its padding.

    It moves strides of a float convolution of one tap to what comes before, through others of one tap (StridesOptimization).
    """
    if (
        not _is_of_one_tap(e, node)
        or not any(node.args[4])
        or node.args[1].name not in e.program.constants
    ):
        return False
    others = (n for n in e.program.graph.nodes if n.target is node.target and n is not node)
    return any(_is_of_one_tap(e, n) and any(int(step) > 1 for step in n.args[3]) for n in others)


def _is_of_one_tap(e: Emitter, node: Any) -> bool:
    x, weight, *_ = node.args
    return set(e.shape(weight)[2:]) == {1} and not on_integers(e.program, x)


def _loses_its_window(e: Emitter, node: Any) -> bool:
    """Returns whether padding or stride would be forgotten so; a tap of 0 more keeps OpenVINO from it.

    A pad in front becomes padding (PadFusion).
    """
    x, _, _, stride, padding, *_ = node.args
    pads = any(padding) or x.target is aten.constant_pad_nd.default
    moves = pads or any(int(step) != 1 for step in stride)
    return moves and _becomes_a_product(e, node)


def _never_compiles(e: Emitter, node: Any) -> bool:
    """Returns whether OpenVINO's compiler of integer kernels does not come to an end for this convolution.

    So it is for one of each channel over 16 channels, one vector of its kernel, from 14 taps along the last axis on.
    """
    x, weight, _, stride, *_, groups = node.args
    channels, *_, taps = e.shape(weight)
    is_integer = on_integers(e.program, x) and weight.name in e.program.quant
    return is_integer and channels == groups == VECTOR and taps >= MANY_TAPS and stride[-1] == 1


def _is_wrong_in_groups(e: Emitter, node: Any) -> bool:
    """Returns whether OpenVINO may take its integer kernel for very small convolutions in groups.

    It adds the zero point of the input wrongly where a group has several outputs.
    """
    x, weight, *_, groups = node.args
    channels = e.shape(weight)[0]
    is_integer = on_integers(e.program, x) and weight.name in e.program.quant
    return is_integer and 1 < groups < channels and node_macs(node) <= FEW_MACS


def _dense(groups: int) -> constants.View:
    """Returns the view of a kernel's integers over all channels, 0 but for those of its group; scales stay."""

    def view(values: np.ndarray) -> np.ndarray:
        if values.dtype != np.int8:
            return values
        first, second, *taps = values.shape
        own = np.eye(groups, dtype=values.dtype).reshape(groups, 1, groups, *[1] * (1 + len(taps)))
        every: np.ndarray = own * values.reshape(groups, first // groups, 1, second, *taps)
        return every.reshape(first, groups * second, *taps)

    return view


@rule(aten.conv_transpose2d.input)
def transposed_convolution(e: Emitter, node: Any) -> Any:
    """A transposed convolution, grouped or not."""
    x, weight, bias, stride, padding, extra, groups, dilation = node.args
    value = e.value(x)
    axes = zip(e.shape(weight)[2:], stride, padding, dilation, strict=True)
    if any(_is_wrong_in_integers(*map(int, axis)) for axis in axes):
        value = kept_real(e.program, value)
    window = {
        "strides": stride,
        "pads_begin": padding,
        "pads_end": padding,
        "dilations": dilation,
        "output_padding": extra,
    }
    if groups == 1:
        output = op.convolution_backprop_data(value, e.value(weight), **window)
    else:
        kernel = _grouped(e, weight, int(groups))
        output = op.group_convolution_backprop_data(value, kernel, **window)
    return _biased(e, node, output, bias)


def _is_wrong_in_integers(taps: int, stride: int, padding: int, dilation: int) -> bool:
    """Returns whether OpenVINO's integer kernels err along an axis of a transposed convolution.

    Results between inputs that no tap reaches are left as they were; where padding takes away more than the
    kernel reaches, products are added in 16 bits, whatever the processor has.
    """
    reached = {dilation * tap % stride for tap in range(taps)}
    return len(reached) < stride or padding > dilation * (taps - 1)


def _lengthened(e: Emitter, node: Any) -> constants.View:
    """Returns the view that adds a tap of 0 along each axis of a kernel; scales of integers have none."""
    _, weight, *_, groups = node.args
    by_groups, spec = constants.by_groups(int(groups)), e.program.quant.get(weight.name)
    is_real = spec is None or spec.storage.floating

    def view(values: np.ndarray) -> np.ndarray:
        if is_real or values.dtype == np.int8:
            values = np.pad(values, [(0, 0), (0, 0), *((0, 1) for _ in values.shape[2:])])
        return values if groups == 1 else by_groups(values)

    return view


def _grouped(e: Emitter, weight: Any, groups: int) -> Any:
    """The weight with an axis for the groups in front."""
    if weight.name in e.program.constants:
        return constants.constant(e.program, weight.name, constants.by_groups(groups))
    first, *rest = (int(d) for d in weight.meta["val"].shape)
    shape = constants.numbers([groups, first // groups, *rest])
    return op.reshape(e.value(weight), shape, False)  # noqa: FBT003 (special_zero)


def _biased(e: Emitter, node: Any, made: Any, bias: Any) -> Any:
    if bias is None:
        return made
    shape = [1, -1, *[1] * (node.meta["val"].ndim - 2)]
    if bias.name in e.program.constants:
        return op.add(made, constants.constant(e.program, bias.name, lambda b: b.reshape(shape)))
    return op.add(made, op.reshape(e.value(bias), constants.numbers(shape), False))  # noqa: FBT003
