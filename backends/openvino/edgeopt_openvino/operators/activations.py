"""Activations and softmax. One whose clip the grid behind it repeats is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op
import torch

from edgeopt.lowering import NoRuleError
from edgeopt_openvino import parameters
from edgeopt_openvino.operator_rules import rule
from edgeopt_openvino.parameters import clips_alike

if TYPE_CHECKING:
    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_FLOAT32 = np.finfo(np.float32)


@rule(aten.relu.default)
def relu(e: Emitter, node: Any) -> Any:
    """max(x, 0)."""
    value = e.value(node.args[0])
    if clips_alike(e.program.quant.get(node.name), 0.0, None):
        return value
    return op.relu(value)


_RAMP = 6.0
"""The upper end of the clip within a hard sigmoid."""


@rule(aten.clamp.default)
def clamp(e: Emitter, node: Any) -> Any:
    """X clipped to [low, high]; either may be open."""
    value, low, high = e.value(node.args[0]), *(*node.args[1:], None, None)[:2]
    if clips_alike(e.program.quant.get(node.name), low, high):
        return value
    if not node.meta["val"].dtype.is_floating_point:
        value = value if low is None else op.maximum(value, e.number(node, low)).output(0)
        return value if high is None else op.minimum(value, e.number(node, high))
    # Limits on the grid of the result give the same numbers, and the runtime cuts them off on integers of another.
    if not _keeps_grid(e, node):
        value = parameters.kept_real(e.program, value)
    low, high = (parameters.whole_step(e.program, node, end) for end in (low, high))
    ends = (
        float(_FLOAT32.min) if low is None else low,
        float(_FLOAT32.max) if high is None else high,
    )
    clipped = op.clamp(value, *ends)
    if ends == (0.0, _RAMP) and parameters.reaches_jump(node):
        # Else it becomes part of a hard sigmoid, which has no 1, only what is next to it.
        return parameters.unfused(clipped.output(0))
    return clipped


def _keeps_grid(e: Emitter, node: Any) -> bool:
    """Returns whether ``node`` and what it reads are both on one grid, or its input is on none."""
    before, behind = (e.program.quant.get(n.name) for n in (node.args[0], node))
    return before is None or (behind is not None and before.same_grid(behind))


@rule(aten.sigmoid.default)
def sigmoid(e: Emitter, node: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return op.sigmoid(e.cast(e.value(node.args[0]), node.meta["val"].dtype))


@rule(aten.tanh.default)
def tanh(e: Emitter, node: Any) -> Any:
    """The hyperbolic tangent."""
    return op.tanh(e.cast(e.value(node.args[0]), node.meta["val"].dtype))


@rule(aten.gelu.default)
def gelu(e: Emitter, node: Any) -> Any:
    """X times the normal distribution's integral, exact or by tanh."""
    kind = node.kwargs.get("approximate", node.args[1] if len(node.args) > 1 else "none")
    return op.gelu(e.value(node.args[0]), "tanh" if kind == "tanh" else "erf")


@rule(aten.hardswish.default)
def hardswish(e: Emitter, node: Any) -> Any:
    """X * clamp(x + 3, 0, 6) / 6."""
    return op.hswish(e.value(node.args[0]))


@rule(aten.leaky_relu.default)
def leaky_relu(e: Emitter, node: Any) -> Any:
    """X where it is positive, else slope * x."""
    slope = node.args[1] if len(node.args) > 1 else node.kwargs.get("negative_slope", 0.01)
    return op.prelu(e.value(node.args[0]), e.number(node, slope))


@rule(aten.elu.default)
def elu(e: Emitter, node: Any) -> Any:
    """X where it is positive, else alpha * (exp(x) - 1)."""
    alpha, scale, inner = [*node.args[1:], 1.0, 1.0, 1.0][:3]
    if (scale, inner) != (1.0, 1.0):
        raise NoRuleError("elu with a scale of its input or output")
    return op.elu(e.value(node.args[0]), float(alpha))


@rule(aten.softmax.int)
def softmax(e: Emitter, node: Any) -> Any:
    """exp(x) over its sum along one axis."""
    return op.softmax(e.cast(e.value(node.args[0]), node.meta["val"].dtype), int(node.args[1]))
