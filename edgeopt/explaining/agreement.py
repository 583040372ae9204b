"""A number for how alike two attributions are: order, and the most important regions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.explaining.findings import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["chance_correlation", "interval", "most_important", "rank_correlation", "top_overlap"]

_RESAMPLES = 2000
_TOP_SHARE = 0.1
_LEAST_TOP = 3


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Spearman's rank correlation of two attributions; 1 for two that say nothing.

    Args:
        a: One number a region, (regions,).
        b: Likewise.
    """
    x, y = _ranks(a), _ranks(b)
    x, y = x - x.mean(), y - y.mean()
    length = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    if length == 0.0:
        return 1.0 if not x.any() and not y.any() else 0.0
    return float(x @ y) / length


def most_important(regions: int) -> int:
    """Returns how many regions are called the most important: a tenth, three at least."""
    return min(regions, max(_LEAST_TOP, round(_TOP_SHARE * regions)))


def top_overlap(a: np.ndarray, b: np.ndarray, count: int) -> float:
    """Returns which share (0 to 1) of the ``count`` largest attributions the two have in common."""
    first, second = (set(np.argsort(-x, kind="stable")[:count].tolist()) for x in (a, b))
    return len(first & second) / count


def chance_correlation(
    float_maps: Sequence[np.ndarray], maps: Sequence[np.ndarray]
) -> float | None:
    """Returns the mean rank correlation of attributions of different inputs; None for a single one."""
    pairs = [
        rank_correlation(a, b)
        for i, a in enumerate(float_maps)
        for j, b in enumerate(maps)
        if i != j and a.shape == b.shape
    ]
    return float(np.mean(pairs)) if pairs else None


def interval(numbers: Sequence[float]) -> Interval:
    """Returns the mean of numbers, with its 95 % interval by bootstrap over them."""
    array = np.asarray(numbers, np.float64)
    chance = np.random.default_rng(0)
    means = array[chance.integers(0, len(array), (_RESAMPLES, len(array)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(float(array.mean()), float(low), float(high))


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Returns ranks; equal numbers share the mean of theirs."""
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middles = ends - (counts + 1) / 2
    ranks: np.ndarray = middles[inverse]
    return ranks
