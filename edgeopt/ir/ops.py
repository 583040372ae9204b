"""What the IR knows of operators: which anchor integer kernels, which keep a grid.

The names are ATen overloads after the core passes; see docs/ir.md for the canonical set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ACTIVATIONS",
    "ANCHORS",
    "CONVOLUTIONS",
    "ELEMENTWISE",
    "FIXED_RANGE",
    "NORMALIZATIONS",
    "SAME_GRID",
    "UNARY_TABLE",
    "activation_inputs",
    "anchor_parts",
    "fused_activation",
    "is_float_tensor",
    "output_channel_axis",
]

aten = torch.ops.aten

CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default, aten.conv_transpose2d.input)
"""Convolutions: (input, weight, bias, …)."""

ANCHORS = (*CONVOLUTIONS, aten.linear.default)
"""Operators with a constant weight whose integer kernels carry the gain."""

ACTIVATIONS = (aten.relu.default, aten.clamp.default)
"""Activations that an anchor's kernel applies before it rounds. relu6 is clamp(x, 0, 6)."""

SAME_GRID = (
    aten.reshape.default,
    aten.permute.default,
    aten.slice.Tensor,
    aten.constant_pad_nd.default,
    aten.expand.default,
    aten.cat.default,
    aten.max_pool2d.default,
    aten.avg_pool2d.default,
    aten.roll.default,
    aten.flip.default,
    aten.upsample_nearest2d.vec,
    aten.embedding.default,
    aten.alias.default,
)
"""Operators whose output lies on the grid of their inputs: they move values, or average them."""

UNARY_TABLE = (
    aten.gelu.default,
    aten.hardswish.default,
    aten.leaky_relu.default,
    aten.elu.default,
)
"""Unary operators that integer runtimes run through a table of 256 entries."""

ELEMENTWISE = (
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.mul.Tensor,
    aten.mean.dim,
    aten.relu.default,
    aten.clamp.default,
    aten.sigmoid.default,
    aten.tanh.default,
)
"""Operators with integer kernels of their own, where all inputs lie on a grid."""

FIXED_RANGE = {
    aten.sigmoid.default: (1 / 256, -128),
    aten.tanh.default: (1 / 128, 0),
}
"""Operators whose output grid integer runtimes prescribe: scale and zero point."""

NORMALIZATIONS = (
    aten.layer_norm.default,
    aten.group_norm.default,
    aten.softmax.int,
    aten.scaled_dot_product_attention.default,
)
"""Operators that stay in float: an integer grid in front of them costs accuracy."""


def is_float_tensor(node: Any) -> bool:
    """Returns whether ``node`` makes one tensor of a floating type."""
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return isinstance(value, torch.Tensor) and value.dtype.is_floating_point


def anchor_parts(
    node: torch.fx.Node,
) -> tuple[torch.fx.Node, torch.fx.Node, torch.fx.Node | None]:
    """Returns the input, weight and bias nodes of an anchor; the bias may be None."""
    bias = node.args[2] if len(node.args) > 2 else node.kwargs.get("bias")  # noqa: PLR2004
    return node.args[0], node.args[1], bias  # type: ignore[return-value]


def output_channel_axis(node: torch.fx.Node) -> int:
    """Returns the axis of an anchor's weight that counts output channels."""
    return 1 if node.target is aten.conv_transpose2d.input else 0


def activation_inputs(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """Yields the inputs of ``node`` that are float values: for an anchor only its first."""
    candidates = node.args[:1] if node.target in ANCHORS else node.all_input_nodes
    for value in candidates:
        if is_float_tensor(value):
            yield value  # type: ignore[misc]


def fused_activation(node: torch.fx.Node) -> torch.fx.Node | None:
    """Returns the activation that an anchor's (or add's) kernel applies, where there is one.

    It is fused where it is the only user: the value in between never exists.
    """
    if node.target not in (*ANCHORS, aten.add.Tensor) or len(node.users) != 1:
        return None
    user = next(iter(node.users))
    return user if user.target in ACTIVATIONS else None
