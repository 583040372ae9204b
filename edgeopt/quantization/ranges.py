"""Finds the range of an activation from its values on calibration data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from edgeopt.ir.quant import QuantSpec

__all__ = ["find_parameters"]

PERCENTILES = (0.9999, 0.999)
SHRINKS = torch.linspace(1.0, 0.4, 25).tolist()
MOST_VALUES = 200_000
TAIL = 0.001
"""The share of the values, the largest, of which all count: of the others every n-th."""
WORTH_CLIPPING = 0.5
"""``auto`` clips only where that halves the error: other data go further than calibration did, and
clipping what is large costs more there (1.5 dB on EfficientNet-Lite0 without this bound)."""


@dataclass(frozen=True)
class _Candidate:
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class _Sample:
    """Values that stand for all of a tensor.

    What clipping costs is the error of the few largest values, and of a transformer's these lie in one channel
    of one token: a sample that misses them finds every clipping free.

    Attributes:
        usual: Every n-th value of all.
        rest: Those of them that are not of the tail.
        tail: The largest values, all of them.
        step: How many values one of ``rest`` stands for.
    """

    usual: torch.Tensor
    rest: torch.Tensor
    tail: torch.Tensor
    step: int

    @classmethod
    def of(cls, values: torch.Tensor) -> _Sample:
        step = _step(values.numel())
        if step == 1:
            return cls(values, values, values[:0], 1)
        usual, sizes = values[::step], values.abs()
        count = usual.numel()
        limit = sizes[::step].kthvalue(count - int(TAIL * count)).values
        return cls(usual, usual[usual.abs() <= limit], values[sizes > limit], step)

    def error(self, grid: QuantSpec) -> float:
        """Returns the squared error of rounding all values to ``grid``."""
        return self.step * _error(self.rest, grid) + _error(self.tail, grid)


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
    sample = _Sample.of(values)
    candidates = [_Candidate(low, high, "minmax")]
    if method in ("percentile", "auto"):
        ordered = sample.usual.sort().values
        candidates += [_percentile(ordered, share) for share in PERCENTILES]
        if method == "percentile":
            candidates = candidates[1:2]
    if method in ("mse", "auto"):
        candidates += _shrunk(sample, low, high)
    grids = [QuantSpec.affine(c.low, c.high, method=c.method) for c in candidates]
    best = min(grids, key=sample.error)
    if method == "auto" and sample.error(best) > WORTH_CLIPPING * sample.error(grids[0]):
        return grids[0]
    return best


def _step(count: int) -> int:
    """Returns of how many values one is taken: no divisor, so that every channel is met, the same in every run."""
    step = -(-count // MOST_VALUES)
    while math.gcd(step, count) > 1:
        step += 1
    return max(1, step)


def _percentile(ordered: torch.Tensor, share: float) -> _Candidate:
    cut = min(int(share * (ordered.numel() - 1)), ordered.numel() - 1)
    low, high = float(ordered[ordered.numel() - 1 - cut]), float(ordered[cut])
    return _Candidate(min(low, 0.0), max(high, 0.0), f"percentile {100 * share:g}")


def _shrunk(sample: _Sample, low: float, high: float) -> list[_Candidate]:
    """Both ends shrunk together, then each end on its own from the best of those."""
    both = [_Candidate(low * s, high * s, "mse") for s in SHRINKS]
    if low == 0.0 or high == 0.0:
        return both
    best = min(both, key=lambda c: sample.error(QuantSpec.affine(c.low, c.high, method="mse")))
    lows = [_Candidate(low * s, best.high, "mse") for s in SHRINKS[::2]]
    highs = [_Candidate(best.low, high * s, "mse") for s in SHRINKS[::2]]
    return [best, *lows, *highs]


def _error(values: torch.Tensor, grid: QuantSpec) -> float:
    return float((grid.fake(values) - values).square_().sum())
