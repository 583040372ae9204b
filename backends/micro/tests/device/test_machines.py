"""The firmware on each machine of QEMU: the right bytes, and the same count of instructions each time."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import PAIRS, artifact_of, expected, sample, target_of

pytestmark = pytest.mark.qemu


def test_each_core_answers_to_the_byte_and_counts(core, model_of):
    model = model_of(artifact_of(target_of(core)))
    for seed in range(2):
        (x,) = sample(seed)
        halves, total = model(x)
        assert halves.tobytes() == expected(x)[0].tobytes()
        assert total.tolist() == expected(x)[1].tolist()
    facts = model.facts()
    assert (facts["model"], facts["unit"]) == ("tiny", "instructions")
    assert 0 < facts["stack_free"] < 4096
    counts = model.counts(3, x)["counts"]
    assert len(set(counts)) == 1
    steps = [step["count"] for step in model.step_counts(x)["steps"]]
    assert len(steps) == 2
    assert min(steps) > 3 * PAIRS  # load, add, store at least, for each pair
    assert sum(steps) == pytest.approx(counts[0], abs=100)  # of the call itself


def test_two_machines_count_the_same(m3, model_of):
    (x,) = sample()
    artifact = artifact_of(m3)
    counts = [model_of(artifact).counts(1, x)["counts"] for _ in range(2)]
    assert counts[0] == counts[1]


def test_inputs_are_rounded_and_clipped_as_the_reference_does(m3, model_of):
    x = np.full((1, 2 * PAIRS), 1000.0, np.float32)
    x[0, :2] = (0.25, 0.75)  # ties, to even: 0 and 2
    halves, _ = model_of(artifact_of(m3))(x)
    assert halves[0, 0] == (((0 + 2 - 6) >> 1) - 1) * 0.25
    assert halves[0, 1] == (127 - 1) * 0.25
