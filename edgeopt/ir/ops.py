"""What a node reads and makes, by the traits of its operator (`edgeopt.ir.operators`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "activation_bounds",
    "activation_inputs",
    "fused_activation",
    "is_activation",
    "is_convolution",
    "is_float_tensor",
    "is_fused",
    "is_transposed",
    "is_weighted",
    "output_channel_axis",
    "result_channel_axis",
    "weighted_parts",
]

aten = torch.ops.aten


def is_float_tensor(node: Any) -> bool:
    """Returns whether ``node`` makes one tensor of a floating type."""
    value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
    return isinstance(value, torch.Tensor) and value.dtype.is_floating_point


def is_weighted(node: Any) -> bool:
    """Returns whether ``node`` is a convolution or linear."""
    return traits_of(node).weight is not None


def is_convolution(node: Any) -> bool:
    """Returns whether ``node`` is a convolution that is not transposed."""
    weight = traits_of(node).weight
    return weight is not None and weight.convolution and not weight.transposed


def is_transposed(node: Any) -> bool:
    """Returns whether ``node`` is a transposed convolution."""
    weight = traits_of(node).weight
    return weight is not None and weight.transposed


def is_activation(node: Any) -> bool:
    """Returns whether ``node`` is a relu or clamp, which a kernel in front of it may apply."""
    return traits_of(node).activation


def activation_bounds(node: torch.fx.Node) -> tuple[float, float]:
    """Returns the least and the largest result of a relu or clamp."""
    if node.target is aten.relu.default:
        return 0.0, math.inf
    low, high = node.args[1:3]
    return (
        -math.inf if low is None else float(low),  # type: ignore[arg-type]
        math.inf if high is None else float(high),  # type: ignore[arg-type]
    )


def weighted_parts(
    node: torch.fx.Node,
) -> tuple[torch.fx.Node, torch.fx.Node, torch.fx.Node | None]:
    """Returns the input, weight and bias nodes of a weighted operator; the bias may be None."""
    bias = node.args[2] if len(node.args) > 2 else node.kwargs.get("bias")  # noqa: PLR2004
    return node.args[0], node.args[1], bias  # type: ignore[return-value]


def output_channel_axis(node: torch.fx.Node) -> int:
    """Returns the axis of a weighted operator's weight that counts output channels."""
    weight = traits_of(node).weight
    return 0 if weight is None else weight.output_axis


def result_channel_axis(node: torch.fx.Node) -> int:
    """Returns the axis of a weighted operator's result that counts channels: 1, or -1 (the last)."""
    weight = traits_of(node).weight
    return 1 if weight is None else weight.result_axis


def activation_inputs(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """Yields the inputs of ``node`` that are float values: of a weighted operator only its first."""
    candidates = node.args[:1] if is_weighted(node) else node.all_input_nodes
    for value in candidates:
        if is_float_tensor(value):
            yield value  # type: ignore[misc]


def fused_activation(node: torch.fx.Node) -> torch.fx.Node | None:
    """Returns the activation that the kernel of ``node`` applies, where there is one.

    It is fused where it is the only user: the value in between never exists.
    """
    if not traits_of(node).applies_activation or len(node.users) != 1:
        return None
    user = next(iter(node.users))
    return user if is_activation(user) else None


def is_fused(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is an activation that the kernel of the node before it applies."""
    source = node.args[0] if is_activation(node) else None
    return isinstance(source, torch.fx.Node) and fused_activation(source) is node
