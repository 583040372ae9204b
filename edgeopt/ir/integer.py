"""The exact integer computation of weighted operators and means, with or without gradients.

Sums of products of integers are exact: in float32 where no partial sum can exceed 2**24, else in
float64, where none can exceed 2**53. The sum is scaled to the result's integers once, by a float32
factor, as integer kernels do (XNNPACK's, bit for bit): a tie that rounds the other way in float64
grows from layer to layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts.storage import StorageType

__all__ = [
    "EXACT_FLOAT32",
    "average",
    "largest_sum",
    "real_sums",
    "scaled_sums",
    "spread_along",
    "sums",
]

EXACT_FLOAT32 = 2**24
"""Up to here float32 holds every integer."""


def spread_along(values: torch.Tensor, axis: int, ndim: int) -> torch.Tensor:
    """Returns one value a channel in a shape that spreads over ``ndim`` dimensions."""
    shape = [1] * ndim
    shape[axis] = -1
    return values.reshape(shape)


def largest_sum(node: torch.fx.Node, weight: torch.Tensor) -> float:
    """Returns the largest sum of absolute integers that one output channel of ``weight`` has."""
    others = [a for a in range(weight.ndim) if a != ops.output_channel_axis(node)]
    return float(weight.detach().abs().sum(dim=others).max())


def sums(
    node: torch.fx.Node,
    x: torch.Tensor,
    weight: torch.Tensor,
    largest: float,
    storage: StorageType = INT8,
) -> torch.Tensor:
    """Returns the sums of products of a weighted operator, exact, without its bias.

    Args:
        node: The weighted operator.
        x: Its input as integers, less the zero point.
        weight: Its weight as integers.
        largest: What `largest_sum` says of the weight.
        storage: What the input is stored in.
    """
    dtype = torch.float32 if largest * storage.steps < EXACT_FLOAT32 else torch.float64
    result: torch.Tensor = node.target(  # type: ignore[operator]
        x.to(dtype), weight.to(dtype), None, *node.args[3:]
    )
    return result


def scaled_sums(  # noqa: PLR0913 (what an integer kernel takes)
    node: torch.fx.Node,
    total: torch.Tensor,
    bias: torch.Tensor | None,
    step: torch.Tensor,
    scale: torch.Tensor,
    rounded: Callable[[torch.Tensor], torch.Tensor] = torch.round,
    *,
    narrow: bool = False,
) -> torch.Tensor:
    """Returns the real result of a weighted operator, before it is clipped to its integers.

    Args:
        node: The weighted operator.
        total: What `sums` gives.
        bias: Its bias on its int32 grid, one real number a channel; None for none.
        step: Scale of the input times scale of the weight, float32, of one or all channels.
        scale: Scale of the result.
        rounded: How to round to integers, ties to even; with a gradient of its own in training.
        narrow: Whether float32 does for the result, where the sum fits: of a value that lies on
            its grid already the product is found there again, however it was rounded.
    """
    axis, ndim = ops.result_channel_axis(node) % total.ndim, total.ndim
    narrow = narrow and total.dtype is torch.float32
    spread = spread_along(step, axis, ndim)
    if bias is not None:
        whole = rounded(spread_along(bias.double(), axis, ndim) / spread.double())
        narrow = narrow and float(whole.detach().abs().max()) < EXACT_FLOAT32
        total = total + (whole.float() if narrow else whole)
    result = rounded(total.float() * (spread / scale))
    return result * scale if narrow else result.double() * scale.double()


def real_sums(
    node: torch.fx.Node, total: torch.Tensor, bias: torch.Tensor | None, step: torch.Tensor
) -> torch.Tensor:
    """Returns what the sums of a weighted operator stand for where nothing rounds them: float32.

    Args:
        node: The weighted operator.
        total: What `sums` gives.
        bias: Its bias on its int32 grid, one real number a channel; None for none.
        step: Scale of the input times scale of the weight, float32, of one or all channels.
    """
    axis, ndim = ops.result_channel_axis(node) % total.ndim, total.ndim
    result = total.double() * spread_along(step, axis, ndim).double()
    if bias is not None:
        result = result + spread_along(bias, axis, ndim).double()
    return result.to(torch.float32)


def average(node: torch.fx.Node, whole: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Returns a mean in float64; that of an even number of integers often is a tie, and stays one.

    Args:
        node: A mean or average pooling.
        whole: Its input as integers, less the zero point.
        scale: The input's scale.
    """
    result: torch.Tensor = node.target(whole.double(), *node.args[1:])  # type: ignore[operator]
    return result * scale.double()
