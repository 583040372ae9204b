"""Integer forms of roundings that are right for every input there is, because each was tried.

A sum of products with float factors, rounded once, becomes ``(m0*x0 + m1*x1 + c) >> shift``. The constant
is solved for: each input bounds it from below and above. Where no constant fits, there is no such form.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Affine", "fitted"]

_LARGEST = 2**31 - 1
_MOST_BITS = 26
_SHIFTS = 4
"""So many are tried, from the finest that fits int32."""


@dataclass(frozen=True)
class Affine:
    """``(sum of multipliers[i] * x[i] + constant) >> shift``, in int32.

    Attributes:
        multipliers: One for each input.
        constant: What is added, the half for rounding included.
        shift: Bits that are dropped.
    """

    multipliers: tuple[int, ...]
    constant: int
    shift: int


def fitted(
    terms: Sequence[tuple[np.ndarray, float]], wanted: np.ndarray, low: int, high: int
) -> Affine | None:
    """Returns a form that gives ``wanted`` for all inputs after clipping, None where there is none.

    Args:
        terms: For each input its integers, of shapes that broadcast to that of ``wanted``, and what
            one step of it adds to the result.
        wanted: The right results, from ``low`` to ``high``.
        low: Where results are clipped.
        high: Likewise.
    """
    left = _SHIFTS
    for shift in range(_MOST_BITS, 3, -1):
        nearest = [round(factor * 2.0**shift) for _, factor in terms]
        if not _fits(terms, nearest):
            continue
        for steps in product((0, 1, -1), repeat=len(terms)):
            multipliers = [m + step for m, step in zip(nearest, steps, strict=True)]
            form = _with_constant(terms, multipliers, shift, wanted, (low, high))
            if form is not None:
                return form
        left -= 1
        if not left:
            break
    return None


def _fits(terms: Sequence[tuple[np.ndarray, float]], multipliers: Sequence[int]) -> bool:
    """Returns whether the sum is below half of int32's range, so that a constant fits beside it."""
    reach = (int(np.abs(x).max()) * abs(m) for (x, _), m in zip(terms, multipliers, strict=True))
    return sum(reach) <= _LARGEST // 2


def _with_constant(
    terms: Sequence[tuple[np.ndarray, float]],
    multipliers: Sequence[int],
    shift: int,
    wanted: np.ndarray,
    ends: tuple[int, int],
) -> Affine | None:
    """Returns the form with a constant that is right for every input."""
    products = [x.astype(np.int64) * m for (x, _), m in zip(terms, multipliers, strict=True)]
    total = sum(products[1:], products[0])
    bounds = wanted.astype(np.int64) << shift
    lowest = (bounds - total)[wanted > ends[0]].max(initial=-_LARGEST)
    highest = (bounds + (1 << shift) - 1 - total)[wanted < ends[1]].min(initial=_LARGEST)
    if lowest > highest:
        return None
    constant = int(lowest + highest) // 2
    reach = sum(int(np.abs(product).max()) for product in products) + abs(constant)
    if reach > _LARGEST:
        return None
    return Affine(tuple(int(m) for m in multipliers), constant, shift)
