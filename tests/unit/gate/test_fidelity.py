"""Every output is judged, and each channel of it that a person would read alone."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.gate.fidelity import output_fidelity
from edgeopt.gate.parts import channel_axes
from edgeopt.options import FidelityLimits

COUNT = 16


def judged(wanted, got, *, limits=None, same=None):
    """Returns the fidelity of one output; the first axis of the arrays counts the samples."""
    wanted, got = np.asarray(wanted), np.asarray(got)
    spec = TensorSpec("y", wanted.shape[1:], str(wanted.dtype))
    signature = Signature(inputs=(), outputs=(spec,))
    rows = [(one,) for one in wanted], [(one,) for one in got]
    return output_fidelity(signature, *rows, [same], limits)[0]


def grave(found):
    return [s.what for s in found.shortfalls if s.grave]


def warned(found):
    return [s.what for s in found.shortfalls if not s.grave]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (COUNT, *shape)).astype(np.float32)


def on_grid(values):
    """Returns the values on one int8 grid, as an output of int8 programs is."""
    low, high = min(values.min(), 0), max(values.max(), 0)
    step = (high - low) / 255
    return (np.round(values / step) * step).astype(np.float32)


def boxes_and_scores(*, axis):
    boxes = 640 * np.random.default_rng(0).uniform(0, 1, (COUNT, 1, 4, 50)).astype(np.float32)
    y = np.concatenate([boxes, normal(1, 2, 50, seed=1).clip(-1, 1)], axis=2)
    return np.moveaxis(y, 2, axis + 1).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((), ()),
        ((7,), (0,)),
        ((1, 1), ()),
        ((1, 10), (1,)),
        ((1, 84, 8400), (1, 2)),
        ((1, 21, 32, 32), (1,)),
        ((1, 13, 20, 6), (1, 3)),
        ((1, 3, 20, 20, 85), (1, 4)),
    ],
)
def test_axes_that_may_hold_unlike_quantities(shape, axes):
    assert channel_axes(shape) == axes


@pytest.mark.parametrize("axis", [1, 2])
def test_scores_beside_boxes_on_one_grid_fail(axis):
    y = boxes_and_scores(axis=axis)
    found = judged(y, on_grid(y))
    assert found.snr_db > 40
    assert any("channels 4, 5 of 6" in text for text in grave(found))
    assert found.worst_snr_db < 3
    assert found.loss > 0.5


def test_the_same_in_one_row_a_sample_is_not_class_scores():
    y = boxes_and_scores(axis=1)[:, :, :, 0]
    found = judged(y, on_grid(y), same=1.0)
    assert found.measure == "error"
    assert any("channels 4, 5 of 6" in text for text in grave(found))


def test_scores_between_09_and_1_beside_boxes_that_read_1_fail():
    y = boxes_and_scores(axis=1)
    y[:, :, 4:] = 0.95 + 0.04 * np.tanh(y[:, :, 4:])
    got = y.copy()
    got[:, :, 4:] = 1.0
    assert judged(y, got).snr_db > 40
    assert any(
        "channels 4, 5" in text and "of what varies" in text for text in grave(judged(y, got))
    )


def test_a_channel_that_reads_zeros_fails():
    y = normal(1, 8, 5, 5)
    got = y.copy()
    got[:, :, 3] = 0
    assert any("channel 3 of 8" in text for text in grave(judged(y, got)))


def test_a_row_that_reads_zeros_fails():
    y = normal(1, 12, 20)
    got = y.copy()
    got[:, :, 5] = 0
    assert any("channel 5 of 12 along axis 1" in text for text in grave(judged(y, got)))


def test_an_output_that_reads_zeros_fails_whatever_class_it_names():
    y = normal(1, 3)
    assert grave(judged(y, 0 * y, same=1.0))


def test_a_dead_score_among_classes_fails():
    y = normal(1, 10)
    got = y.copy()
    got[:, :, 3] = 0
    assert any("channel 3 of 10" in text for text in grave(judged(y, got, same=0.9)))


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.05, 0.3])
def test_a_score_that_hardly_varies_among_classes_is_no_fault(spread):
    y = 3 * normal(1, 10)
    y[:, :, 4] = -5 + spread * y[:, :, 4]
    found = judged(y, on_grid(y), same=1.0)
    assert found.measure == "class"
    assert found.shortfalls == ()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_constant_channel_is_no_fault(value):
    y = normal(1, 6, 7, 7)
    y[:, :, 2] = value
    assert judged(y, on_grid(y)).shortfalls == ()


def test_probabilities_that_are_nearly_0_may_be_0():
    logits = 4 * normal(1, 6, 7, 7)
    logits[:, :, 5] -= 12
    shares = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    assert judged(shares, np.round(shares * 255) / 255).shortfalls == ()
    each = 1 / (1 + np.exp(-logits))
    assert judged(each, np.round(each * 255) / 255).shortfalls == ()


def test_a_small_output_as_a_whole_is_judged():
    y = 0.01 * np.abs(normal(1, 6, 7, 7))
    got = y.copy()
    got[:, :, 1] = 0
    assert any("channel 1 of 6" in text for text in grave(judged(y, got)))


def test_float_noise_in_a_negligible_channel_is_no_fault():
    y = 100 * normal(1, 4, 6, 6)
    y[:, :, 0] *= 1e-8
    got = y + 1e-6 * normal(1, 4, 6, 6, seed=5)
    assert judged(y, got).shortfalls == ()


def test_noise_in_a_channel_that_was_nothing_fails():
    y = normal(1, 4, 6, 6)
    y[:, :, 0] = 0
    got = y.copy()
    got[:, :, 0] = 0.5
    assert any("channel 0 of 4" in text for text in grave(judged(y, got)))


def test_an_embedding_is_judged_by_what_is_left_of_it():
    y = normal(1, 384)
    assert judged(y, on_grid(y), same=1.0).shortfalls == ()
    y[:, :, 7] *= 0.01  # one dimension says little: nobody reads it alone
    assert grave(judged(y, on_grid(y), same=1.0)) == []
    assert grave(judged(y, y + normal(1, 384, seed=4), same=1.0))


@pytest.mark.parametrize(("noise_db", "fails", "warns"), [(25, 0, 0), (15, 0, 1), (5, 1, 0)])
def test_the_floors(noise_db, fails, warns):
    y = normal(1, 3, 20, 20)
    found = judged(y, y + 10 ** (-noise_db / 20) * normal(1, 3, 20, 20, seed=9))
    assert bool(grave(found)) == bool(fails)
    assert bool(warned(found)) == bool(warns)
    wide = FidelityLimits(min_snr_db=-300, warn_snr_db=-300)
    shortfalls = judged(y, y + 10 ** (-noise_db / 20) * y, limits=wide).shortfalls
    assert not [s for s in shortfalls if s.grave]


def test_one_number_is_judged_by_what_varies():
    y = 40 + 10 * normal(1, 1)
    assert judged(y, y + 1).shortfalls == ()
    assert grave(judged(y, np.full_like(y, 40)))


def test_one_wrong_answer_of_sixteen_is_warned_of():
    y = normal(1, 3, 9, 9)
    got = y.copy()
    got[3] = -got[3]
    assert any("1 of 16 samples" in text for text in warned(judged(y, got)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_fails(value):
    y = normal(1, 3, 9, 9)
    got = y.copy()
    got[0, 0, 0, 0, 0] = value
    assert grave(judged(y, got))
    assert judged(got, got).shortfalls == ()


def test_indices_are_equal_or_not():
    y = np.random.default_rng(0).integers(0, 10, (COUNT, 1, 9))
    got = y.copy()
    got[:2, 0, 0] += 1
    found = judged(y, got, same=float((y == got).mean()))
    assert (found.measure, grave(found), len(warned(found))) == ("unequal", [], 1)
    assert grave(judged(y, np.roll(y, 1), same=float((y == np.roll(y, 1)).mean())))


def test_a_mask_that_is_always_the_same_fails():
    y = np.zeros((COUNT, 1, 50), bool)
    y[:, :, :2] = True
    got = np.zeros_like(y)
    assert (y == got).mean() > 0.95
    assert any("always the same" in text for text in grave(judged(y, got, same=0.96)))


def test_quantities_in_integers_may_be_near():
    y = np.round(1000 * normal(1, 50)).astype(np.int64)
    assert judged(y, y + 1, same=0.0).shortfalls == ()
