"""Matrix products and normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op
import torch

from edgeopt_openvino import constants, parameters
from edgeopt_openvino.heads import mixes_values
from edgeopt_openvino.operator_rules import rule
from edgeopt_openvino.operators.attention import values_of_heads
from edgeopt_openvino.passes import ROUND_GROUPS
from edgeopt_openvino.snippets import apart, meets_others

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


_LOWEST = np.finfo(np.float32).min


@rule(aten.linear.default)
def linear(e: Emitter, node: Any) -> Any:
    """X times the transposed weight, plus the bias."""
    x, weight, bias = (*node.args, None)[:3]
    product = op.matmul(_matrix(e, x), e.value(weight), False, True)  # noqa: FBT003 (transposes)
    result = product if bias is None else op.add(product, e.value(bias))
    return _shaped(result, node) if x.meta["val"].ndim == 1 else result


def _matrix(e: Emitter, node: Any) -> Any:
    """Returns a vector as a matrix of one row: of vectors the plugin gets the rank wrong in int8."""
    value = e.value(node)
    if node.meta["val"].ndim > 1:
        return value
    return op.reshape(value, constants.numbers([1, -1]), special_zero=False)


def _shaped(value: Any, node: Any) -> Any:
    shape = [int(d) for d in node.meta["val"].shape]
    return op.reshape(value, constants.numbers(shape), special_zero=False)


@rule(ROUND_GROUPS)
def round_groups(e: Emitter, node: Any) -> Any:
    """The value: the linear's kernel rounds it itself."""
    return e.value(node.args[0])


@rule(aten.matmul.default)
def matmul(e: Emitter, node: Any) -> Any:
    """The product of the last two axes; those in front broadcast."""
    left, mixes = e.value(node.args[0]), mixes_values(node)
    right = values_of_heads(e, node.args[1]) if mixes else parameters.second_factor(e, node)
    product = op.matmul(left, right, False, False)  # noqa: FBT003 (transposes)
    return apart(e, node, product) if mixes else product


@rule(aten.layer_norm.default)
def layer_norm(e: Emitter, node: Any) -> Any:
    """Mean 0 and variance 1 over the last axes, then weight and bias."""
    x, shape, weight, bias, epsilon = (*node.args, *(None, None, 1e-5)[len(node.args) - 2 :])[:5]
    axes = constants.numbers(list(range(-len(shape), 0)))
    value = op.mvn(_kept_to_scale(e, x), axes, True, float(epsilon), "inside_sqrt")  # noqa: FBT003
    if weight is not None:
        value = op.multiply(value, e.value(weight))
    return value if bias is None else op.add(value, e.value(bias))


@rule(aten.group_norm.default)
def group_norm(e: Emitter, node: Any) -> Any:
    """Mean 0 and variance 1 over each group of channels, then weight and bias."""
    x, groups, weight, bias, epsilon = (*node.args, *(None, None, 1e-5)[len(node.args) - 2 :])[:5]
    channels = int(x.meta["val"].shape[1])
    ones, zeros = torch.ones(channels), torch.zeros(channels)
    scale = op.constant(constants.array(ones)) if weight is None else e.value(weight)
    shift = op.constant(constants.array(zeros)) if bias is None else e.value(bias)
    value = _kept_to_scale(e, x)
    if int(x.meta["val"].shape[0]) == 1 and not meets_others(e, node):
        return op.group_normalization(value, scale, shift, int(groups), float(epsilon))
    return _normalized_rows(
        value, node.meta["val"].shape, scale, shift, int(groups), float(epsilon)
    )


def _normalized_rows(
    value: Any, shape: Any, scale: Any, shift: Any, groups: int, epsilon: float
) -> Any:
    """Returns the group norm of one row a group; OpenVINO's own does not stand beside every operator."""
    rows = op.reshape(value, constants.numbers([int(shape[0]), groups, -1]), special_zero=False)
    normal = op.mvn(rows, constants.numbers([-1]), True, epsilon, "inside_sqrt")  # noqa: FBT003 (variance)
    normal = op.reshape(normal, constants.numbers([int(d) for d in shape]), special_zero=False)
    channels = constants.numbers([1, -1, *[1] * (len(shape) - 2)])
    scale, shift = (op.reshape(one, channels, special_zero=False) for one in (scale, shift))
    return op.add(op.multiply(normal, scale), shift)


def _kept_to_scale(e: Emitter, node: Any) -> Any:
    """Returns the value behind an operator that no scale is moved across.

    OpenVINO's low-precision passes take the factor of a dequantized value through a normalization,
    as if epsilon were zero (it was 1.6e-4 off in GPT-2). They do not see through a maximum.
    """
    value = e.value(node)
    if not e.program.precision.is_integer:
        return value
    return op.maximum(value, op.constant(_LOWEST))
