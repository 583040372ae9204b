"""Rounding that lets gradients through.

The straight-through estimator: Bengio et al., "Estimating or Propagating Gradients Through
Stochastic Neurons", 2013. With a step size that is a parameter, its gradient is that of LSQ: Esser
et al., "Learned Step Size Quantization", 2020. It follows from the arithmetic below by itself:
d/ds of round(x / s) · s is round(x / s) − x / s inside the grid, and the end of the grid outside.
"""

from __future__ import annotations

import torch

__all__ = ["round_straight_through"]


def round_straight_through(x: torch.Tensor) -> torch.Tensor:
    """Returns ``x`` rounded to integers, ties to even; its gradient is that of ``x``.

    The sum is exact: round(x) − x is a float wherever x is (Sterbenz), and so is what it adds up to.
    """
    return x + (torch.round(x) - x).detach()
