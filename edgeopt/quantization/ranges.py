"""Finds the range of an activation from its values on calibration data."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edgeopt.ir.quant import QuantSpec

__all__ = ["find_parameters"]

PERCENTILES = (0.9999, 0.999)
SHRINKS = torch.linspace(1.0, 0.4, 25).tolist()
MOST_VALUES = 200_000
WORTH_CLIPPING = 0.5
"""``auto`` clips only where that halves the error: other data go further than calibration did, and
clipping what is large costs more there (1.5 dB on EfficientNet-Lite0 without this bound)."""


@dataclass(frozen=True)
class _Candidate:
    low: float
    high: float
    method: str


def find_parameters(values: torch.Tensor, low: float, high: float, method: str) -> QuantSpec:
    """Returns the int8 grid of an activation.

    Args:
        values: A flat sample of its values, float32.
        low: The smallest value seen in all calibration data.
        high: The largest.
        method: ``minmax``, ``percentile``, ``mse``, or ``auto``: that of least squared
            error, where it is much less than that of ``minmax``.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if method == "minmax":
        return QuantSpec.affine(low, high, method="minmax")
    sample = _thinned(values)
    candidates = [_Candidate(low, high, "minmax")]
    if method in ("percentile", "auto"):
        ordered = sample.sort().values
        candidates += [_percentile(ordered, share) for share in PERCENTILES]
        if method == "percentile":
            candidates = candidates[1:2]
    if method in ("mse", "auto"):
        candidates += _shrunk(sample, low, high)
    grids = [QuantSpec.affine(c.low, c.high, method=c.method) for c in candidates]
    best = min(grids, key=lambda grid: _error(sample, grid))
    if method == "auto" and _error(sample, best) > WORTH_CLIPPING * _error(sample, grids[0]):
        return grids[0]
    return best


def _thinned(values: torch.Tensor) -> torch.Tensor:
    """Takes every n-th value: the same ones in every run."""
    step = max(1, -(-values.numel() // MOST_VALUES))
    return values[::step]


def _percentile(ordered: torch.Tensor, share: float) -> _Candidate:
    cut = min(int(share * (ordered.numel() - 1)), ordered.numel() - 1)
    low, high = float(ordered[ordered.numel() - 1 - cut]), float(ordered[cut])
    return _Candidate(min(low, 0.0), max(high, 0.0), f"percentile {100 * share:g}")


def _shrunk(values: torch.Tensor, low: float, high: float) -> list[_Candidate]:
    """Both ends shrunk together, then each end on its own from the best of those."""
    both = [_Candidate(low * s, high * s, "mse") for s in SHRINKS]
    if low == 0.0 or high == 0.0:
        return both
    best = min(both, key=lambda c: _error(values, QuantSpec.affine(c.low, c.high, method="mse")))
    lows = [_Candidate(low * s, best.high, "mse") for s in SHRINKS[::2]]
    highs = [_Candidate(best.low, high * s, "mse") for s in SHRINKS[::2]]
    return [best, *lows, *highs]


def _error(values: torch.Tensor, grid: QuantSpec) -> float:
    return float((grid.fake(values) - values).square_().sum())
