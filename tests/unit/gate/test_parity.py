from __future__ import annotations

import numpy as np
import pytest

from edgeopt.gate.parity import Parity, ParityLimits, check_parity, output_steps, run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.progress import progress_to
from edgeopt.testing.specimens import program_of, specimen


class Skewed:
    """The reference, with something done to its outputs."""

    def __init__(self, program, skew):
        self.runner, self.skew = ReferenceRunner(program), skew

    def __call__(self, *inputs):
        result = self.runner(*inputs)
        return tuple(map(self.skew, result)) if isinstance(result, tuple) else self.skew(result)


def parity(name, precision, skew, **options) -> Parity:
    program = program_of(name, precision)
    samples = [tuple(t.numpy() for t in sample) for sample in specimen(name).samples]
    reference = run_all(ReferenceRunner(program), samples)
    return check_parity(Skewed(program, skew), program, samples, reference, **options)


@pytest.mark.parametrize("name", ["residual", "two_by_two"])
def test_the_reference_is_near_itself(name):
    found = parity(name, "int8", lambda y: y)
    assert found.ok
    assert found.cosine == pytest.approx(1.0)
    assert found.max_error_steps == 0
    assert len(found.outputs) == len(program_of(name, "int8").output_names)


def test_one_step_off_is_near_enough():
    step = output_steps(program_of("residual", "int8"))[0]
    found = parity("residual", "int8", lambda y: y + np.float32(step))
    assert found.ok, found.reasons
    assert found.max_error_steps == pytest.approx(1.0, abs=1e-3)


def test_noise_of_many_steps_is_not():
    noise = np.random.default_rng(0)
    step = output_steps(program_of("residual", "int8"))[0]
    found = parity("residual", "int8", lambda y: y + noise.normal(0, 8 * step, y.shape))
    assert not found.ok
    assert any("cosine" in reason for reason in found.reasons)


def test_swapped_classes_are_noticed():
    found = parity("residual", "int8", lambda y: y[:, ::-1])
    assert not found.ok
    assert any("same class" in reason for reason in found.reasons)


def test_one_bad_sample_among_good_ones_is_noticed():
    calls = []

    def once(y):
        calls.append(1)
        return -y if len(calls) == 5 else y

    limits = ParityLimits(min_argmax=0.0, min_cosine=0.0, min_snr_db=-300)
    found = parity("branches", "float32", once, limits=limits)
    assert not found.ok
    assert "a sample with cosine -1" in found.reasons[0]


def test_not_a_number_is_noticed():
    assert not parity("attention", "float32", lambda y: y * np.float32(np.nan)).ok


def test_float_outputs_have_no_steps():
    found = parity("residual", "float32", lambda y: y)
    assert found.max_error_steps is None
    assert "steps" not in str(found)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_output_that_is_too_large_is_noticed_though_its_cosine_is_1(precision):
    found = parity("residual", precision, lambda y: y * np.float32(1.1))
    assert found.cosine > 0.9999
    assert any("20.0 dB, asked 30 dB" in reason for reason in found.reasons)


def test_limits_can_be_chosen():
    limits = ParityLimits(
        min_argmax=0.0, min_cosine=-1.0, min_cosine_sample=-1.0, min_snr_db=-300.0
    )
    assert parity("residual", "int8", lambda y: -y, limits=limits).ok


def test_progress_is_told():
    seen = []
    with progress_to(lambda *step: seen.append(step)):
        parity("perceptron", "float32", lambda y: y)
    assert seen == [("parity", done, 24) for done in range(1, 25)]
