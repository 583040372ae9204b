from __future__ import annotations

import math

import numpy as np
import pytest

from edgeopt.gate.metrics import MAX_SNR_DB, LikenessMeter, class_axis, cosine, snr_db


def test_cosine_of_equal_opposite_and_orthogonal():
    a = np.array([3.0, 4.0], np.float32)
    assert cosine(a, a) == pytest.approx(1.0)
    assert cosine(a, -a) == pytest.approx(-1.0)
    assert cosine(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0.0


def test_cosine_of_zeros_and_of_what_is_not_finite():
    zero, one = np.zeros(3), np.ones(3)
    assert cosine(zero, zero) == 1.0
    assert cosine(zero, one) == 0.0
    assert cosine(one, np.array([1.0, np.nan, 1.0])) == 0.0
    assert cosine(np.array([np.inf, 1.0]), np.array([np.inf, 1.0])) == 1.0


def test_what_is_not_finite_counts_for_nothing_where_both_have_it():
    one, near = np.array([[np.nan, np.inf, 1.0, 2.0]]), np.array([[np.nan, np.inf, 1.0, 2.1]])
    assert 0.99 < cosine(one, near) < 1.0
    seen = meter((one, near))
    assert seen.max_error == pytest.approx(0.1)
    assert seen.snr_db == pytest.approx(snr_db(5.0, 0.01))
    assert cosine(near, np.array([[1.0, np.inf, 1.0, 2.0]])) == 0.0


def test_cosine_does_not_overflow_in_float16():
    a = np.full(1000, 600.0, np.float16)
    assert cosine(a, a) == pytest.approx(1.0)


def test_snr_in_db():
    assert snr_db(100.0, 1.0) == pytest.approx(20.0)
    assert snr_db(1.0, 0.0) == MAX_SNR_DB
    assert snr_db(0.0, 1.0) == -MAX_SNR_DB
    assert snr_db(1.0, math.inf) == -MAX_SNR_DB


@pytest.mark.parametrize(
    ("shape", "dtype", "axis"),
    [
        ((1, 10), "float32", 1),
        ((4, 1000), "float16", 1),
        ((1, 1), "float32", None),
        ((10,), "float32", None),
        ((1, 5, 10), "float32", None),
        ((1, 10), "int64", None),
    ],
)
def test_only_scores_a_class_are_compared_by_class(shape, dtype, axis):
    assert class_axis(shape, dtype) == axis


def meter(*pairs, step=None):
    found = LikenessMeter("y", step)
    for want, got in pairs:
        found.add(np.array(want, np.float32), np.array(got, np.float32))
    return found.likeness()


def test_argmax_counts_rows():
    seen = meter(([[1, 2, 3], [3, 2, 1]], [[1, 2, 3], [1, 2, 3]]))
    assert seen.argmax == 0.5
    assert seen.samples == 1


def test_a_tie_counts_as_equal():
    assert meter(([[2, 2, 0]], [[1.9, 2, 0]])).argmax == 1.0
    assert meter(([[1.9, 2, 0]], [[2, 2, 0]])).argmax == 1.0


def test_a_coin_toss_within_one_step_is_a_near_tie():
    seen = meter(([[1.0, 1.1, 0]], [[1.1, 1.0, 0]]), step=0.1)
    assert (seen.argmax, seen.near_ties) == (0.0, 1.0)
    far = meter(([[1.0, 1.3, 0]], [[1.3, 1.0, 0]]), step=0.1)
    assert (far.argmax, far.near_ties) == (0.0, 0.0)


def test_a_coin_toss_of_last_bits_is_a_near_tie():
    seen = meter(([[-1.0000001, -1.0, -2]], [[-1.0, -1.0000001, -2]]))
    assert (seen.argmax, seen.near_ties) == (0.0, 1.0)
    far = meter(([[-1.00001, -1.0, -np.inf]], [[-1.0, -1.00001, -np.inf]]))
    assert (far.argmax, far.near_ties) == (0.0, 0.0)


def test_integers_are_compared_one_by_one():
    found = LikenessMeter("y")
    found.add(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5]))
    assert found.likeness().argmax == 0.75


def test_errors_are_given_in_steps_of_the_grid():
    seen = meter(([[1.0, 2.0]], [[1.0, 2.5]]), step=0.25)
    assert seen.max_error == pytest.approx(0.5)
    assert seen.max_error_steps == pytest.approx(2.0)
    assert meter(([[1.0, 2.0]], [[1.0, 2.5]])).max_error_steps is None


def test_a_nan_is_never_near():
    seen = meter(([[1.0, 2.0]], [[np.nan, 2.0]]))
    assert seen.cosine_min == 0.0
    assert seen.max_error == math.inf
    assert seen.snr_db == -MAX_SNR_DB


def test_samples_within_one_step_are_on_the_grid_whatever_their_cosine():
    seen = meter(([[0.1, 0.0]], [[0.0, 0.1]]), step=0.1)
    assert seen.cosine_min == 0.0
    assert seen.off_grid == 1.0
