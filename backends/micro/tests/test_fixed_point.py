"""Integer forms are right for every input, or there is none."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt_micro.fixed_point import fitted

EVERY = np.arange(-128, 128)


def rounded(x, low=-128, high=127):
    return np.clip(np.rint(x), low, high).astype(np.int64)


def applied(form, terms, low, high):
    total = sum(m * x.astype(np.int64) for m, (x, _) in zip(form.multipliers, terms, strict=True))
    total = total + form.constant
    assert np.abs(total).max() < 2**31
    return np.clip(total >> form.shift, low, high)


@pytest.mark.parametrize("seed", range(30))
def test_sums_of_two(seed):
    chance = np.random.default_rng(seed)
    a, b = chance.uniform(0.01, 1.5, 2)
    shift = chance.integers(-60, 60)
    terms = [(EVERY.reshape(-1, 1), a), (EVERY.reshape(1, -1), b)]
    wanted = rounded(EVERY.reshape(-1, 1) * a + EVERY.reshape(1, -1) * b + shift)
    form = fitted(terms, wanted, int(wanted.min()), int(wanted.max()))
    assert form is not None
    np.testing.assert_array_equal(
        applied(form, terms, int(wanted.min()), int(wanted.max())), wanted
    )


def test_means_over_all_sums():
    sums = np.arange(-128 * 49, 127 * 49 + 1)
    wanted = rounded(sums / 49 * 1.3712345 + 5)
    form = fitted([(sums, 1.3712345 / 49)], wanted, -128, 127)
    assert form is not None
    np.testing.assert_array_equal(applied(form, [(sums, 0)], -128, 127), wanted)


def test_ties_to_even_have_no_such_form():
    wanted = rounded(EVERY / 2)
    assert fitted([(EVERY, 0.5)], wanted, int(wanted.min()), int(wanted.max())) is None
