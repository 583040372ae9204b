"""A sum times a factor gives numpy's integer, with an FPU and without."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

_SOURCE = """
#include "edgeopt_scaled.h"
void scaled(const int32_t *totals, const float *factors, int32_t *results, int32_t count);
void scaled(const int32_t *totals, const float *factors, int32_t *results, int32_t count) {
  for (int32_t i = 0; i < count; ++i) results[i] = edgeopt_scaled(totals[i], factors[i]);
}
"""
_BOUND = 65535
"""Beyond it a result need only be as far from zero."""
_KINDS = {
    "floats": [],
    "words": ["-DEDGEOPT_SCALED_BY_INTEGERS=1"],
    "halves": ["-DEDGEOPT_SCALED_BY_INTEGERS=1", "-DEDGEOPT_HALF_PRODUCTS=1"],
}


@pytest.fixture(scope="module", params=_KINDS)
def scaled(request, compile_library, tmp_path_factory):
    source = tmp_path_factory.mktemp("scaled") / "scaled.c"
    source.write_text(_SOURCE)
    library = compile_library(f"scaled_{request.param}", [source], *_KINDS[request.param])

    def result(totals, factors):
        totals, factors = totals.astype(np.int32), factors.astype(np.float32)
        results = np.empty_like(totals)
        addresses = [ctypes.c_void_p(a.ctypes.data) for a in (totals, factors, results)]
        library.scaled(*addresses, totals.size)
        return results

    return result


def _require_equal(scaled, totals, factors):
    totals, factors = np.broadcast_arrays(np.asarray(totals, np.int32), np.float32(factors))
    totals, factors = totals.reshape(-1), factors.reshape(-1)
    with np.errstate(under="ignore"):
        wanted = np.rint(totals.astype(np.float32) * factors).clip(-_BOUND, _BOUND)
    got = scaled(totals, factors).clip(-_BOUND, _BOUND)
    wrong = np.flatnonzero(got != wanted)[:5]
    assert wrong.size == 0, list(
        zip(totals[wrong], factors[wrong], got[wrong], wanted[wrong], strict=True)
    )


def test_random_sums_and_factors(scaled):
    rng = np.random.default_rng(0)
    count = 2_000_000
    bits = rng.integers(1, 32, count)
    totals = rng.integers(-(2**31), 2**31, count) >> (32 - bits)
    reach = np.exp2(rng.uniform(-2, 12, count)) / np.maximum(np.abs(totals), 1)
    _require_equal(scaled, totals, reach.astype(np.float32))


def test_sums_near_ties(scaled):
    """Factors whose product with the sum lies within a few floats of n + 1/2."""
    rng = np.random.default_rng(1)
    count = 500_000
    totals = rng.integers(1, 2**31, count) >> rng.integers(0, 31, count)
    totals = np.maximum(totals, 1) * rng.choice([-1, 1], count)
    half = rng.integers(0, 300, count) + 0.5
    factors = (half / np.abs(totals)).astype(np.float32)
    for steps in range(-3, 4):
        moved = (factors.view(np.int32) + steps).view(np.float32)
        _require_equal(scaled, totals, moved)


def test_ties_go_to_even(scaled):
    for shift in range(1, 32):
        halves = np.arange(-301, 302, 2, dtype=np.int64) << (shift - 1)
        halves = halves[np.abs(halves) < 2**31]
        for near in (-1, 0, 1):
            _require_equal(scaled, (halves + near).clip(-(2**31), 2**31 - 1), 2.0**-shift)


def test_sums_that_float32_rounds(scaled):
    """Above 2^24, and on the edge to the next power of two."""
    rng = np.random.default_rng(2)
    totals = np.concatenate(
        [
            (1 << np.arange(24, 31))[:, None] + np.arange(-300, 300),
            rng.integers(2**24, 2**31, (7, 4000))[:, :600],
        ]
    ).reshape(-1)
    for factor in (3e-8, 1e-7, 2.0**-24, 2.0**-23 + 2.0**-46, 5e-7, 1.3e-6):
        _require_equal(scaled, np.concatenate([totals, -totals]), factor)


def test_extremes(scaled):
    totals = [0, 1, -1, 2, 127, -128, 2**23, 2**24, 2**24 + 1, 2**31 - 1, -(2**31), -(2**31) + 1]
    factors = [
        0.0,
        1e-45,
        1e-38,
        2e-38,
        1e-20,
        2.0**-25,
        2.0**-24,
        0.25,
        0.5,
        0.75,
        0.99999994,
        1.0,
    ]
    factors += [1.0000001, 1.5, 2.0, 3.0, 255.0, 65535.0, 1e10, 3e38]
    for factor in factors:
        with np.errstate(over="ignore"):
            _require_equal(scaled, totals, factor)
