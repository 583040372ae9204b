"""Rounding to integers and clipping to what a storage type holds: ties to even, one way for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["on_integers", "round_and_clip"]


def round_and_clip(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor | int,
    lowest: int,
    highest: int,
    rounded: Callable[[torch.Tensor], torch.Tensor] = torch.round,
) -> torch.Tensor:
    """Returns the integers that ``x`` becomes, as floats of its dtype.

    Args:
        x: Real numbers.
        scale: Of a shape that spreads over ``x``, in its dtype.
        zero_point: Likewise, or one number.
        lowest: The lowest integer.
        highest: The highest.
        rounded: How to round, ties to even; with a gradient of its own in training.
    """
    return torch.clamp(rounded(x / scale) + zero_point, lowest, highest)


def on_integers(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor | int,
    lowest: int,
    highest: int,
    rounded: Callable[[torch.Tensor], torch.Tensor] = torch.round,
) -> torch.Tensor:
    """Returns the real numbers that the integers of `round_and_clip` stand for, float32."""
    integers = round_and_clip(x, scale, zero_point, lowest, highest, rounded)
    return ((integers - zero_point) * scale).to(torch.float32)
