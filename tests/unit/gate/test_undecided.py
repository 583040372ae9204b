"""Samples for which nobody can say what is right: only they are excused, and only few of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.gate.metrics import cosine
from edgeopt.gate.parity import check_parity, run_all
from edgeopt.gate.perturbed_reference import perturbed_outputs
from edgeopt.ir import ReferenceRunner
from edgeopt.testing.specimens import program_of, specimen

COUNT = 200


class Far(nn.Module):
    """A norm of values that all lie near 1000: nothing but last bits, where the input is small."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 16), nn.Linear(16, 8)
        self.norm = nn.LayerNorm(16, eps=1e-12)
        nn.init.constant_(self.first.bias, 1000.0)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))


@pytest.fixture(scope="module")
def far():
    torch.manual_seed(0)
    model = Far().eval()
    return model, capture(model, (torch.zeros(1, 16),))


def samples(small):
    """Inputs of which those in ``small`` are millions of times smaller."""
    chance = np.random.default_rng(0)
    drawn = [chance.normal(0, 1000, (1, 16)).astype(np.float32) for _ in range(COUNT)]
    return [(x * np.float32(3e-7 if i in small else 1.0),) for i, x in enumerate(drawn)]


def parity(far, small, change=lambda _, y: y):
    """Another runtime: the same model with more precision, at least as right as the reference."""
    model, program = far
    exact = Far().double().eval()
    exact.load_state_dict(model.state_dict())

    def run(x):
        with torch.no_grad():
            y = exact(torch.from_numpy(x).double()).float().numpy()
        return change(x, y)

    given = samples(small)
    return check_parity(run, program, given, run_all(ReferenceRunner(program), given))


def test_a_sample_that_nobody_can_decide_is_excused(far):
    found = parity(far, {6})
    assert found.outputs[0].cosine_min < 0.999
    assert found.ok, found.reasons
    assert found.inconclusive == 1
    assert "1 undecided" in str(found)


def test_a_wrong_answer_where_the_reference_is_sure_is_not_excused(far):
    first = samples(set())[3][0]
    found = parity(far, set(), lambda x, y: -y if np.array_equal(x, first) else y)
    assert found.inconclusive == 0
    assert any("a sample with cosine -1" in reason for reason in found.reasons)


def test_it_is_not_excused_beside_one_that_is(far):
    first = samples(set())[3][0]
    found = parity(far, {6}, lambda x, y: -y if np.array_equal(x, first) else y)
    assert found.inconclusive == 1
    assert any("a sample with cosine -1" in reason for reason in found.reasons)


def test_an_undecided_sample_still_counts_in_the_mean(far):
    found = parity(far, {6}, lambda x, y: -y if np.abs(x).max() < 1 else y)
    assert any("mean cosine" in reason for reason in found.reasons)


def test_a_backend_that_errs_a_little_everywhere_fails(far):
    noise = np.random.default_rng(1)
    found = parity(far, set(), lambda _, y: y + noise.normal(0, 0.1, y.shape).astype(np.float32))
    assert not found.ok
    assert found.inconclusive == 0


def test_many_undecided_samples_fail(far):
    found = parity(far, set(range(0, COUNT, 4)))
    assert not found.ok
    assert found.inconclusive == 0


def test_integers_have_no_last_bits():
    program = program_of("residual", "int8")
    sample = tuple(t.numpy() for t in specimen("residual").samples[0])
    (wanted,) = run_all(ReferenceRunner(program), [sample])
    for run in perturbed_outputs(program, sample, 3):
        assert all(np.array_equal(a, b) for a, b in zip(wanted, run, strict=True))


def test_last_bits_change_little_in_a_sound_model():
    program = program_of("attention", "int8")
    for sample in specimen("attention").samples[:4]:
        arrays = tuple(t.numpy() for t in sample)
        (wanted,) = run_all(ReferenceRunner(program), [arrays])
        runs = perturbed_outputs(program, arrays, 3)
        assert all(cosine(wanted[0], run[0]) > 0.9999 for run in runs)
