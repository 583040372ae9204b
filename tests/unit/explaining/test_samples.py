"""The input that differs most comes first; calibrating on such inputs too makes it less bad."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeopt.api import capture
from edgeopt.contracts import Signature, TensorSpec
from edgeopt.explaining.samples import input_finding, sample_differences
from edgeopt.gate.parity import run_all
from edgeopt.ir import ReferenceRunner
from edgeopt.quantization import QuantizationConfig, quantize_program

SIGNATURE = Signature((), (TensorSpec("y", (1, 3), "float32"),))


def differences(reference, outputs, **options):
    rows = [[(np.array([row], np.float32),) for row in rows] for rows in (reference, outputs)]
    return sample_differences(SIGNATURE, *rows, **options)


def test_the_worst_comes_first_with_both_answers():
    wanted = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    first, *others = differences(
        wanted, [[1.01, 0, 0], [0, 0.2, 0.9], [0, 0, 1.0]], labels=["cat", "dog", "cow"]
    )
    assert (first.index, first.same_class) == (1, False)
    assert {s.name: s.value for s in first.float_scores}["dog"] == 1.0
    assert {s.name: s.value for s in first.scores}["cow"] == pytest.approx(0.9)
    assert [one.index for one in others] == [0, 2]
    assert others[1].snr_db == 200.0


def test_values_have_no_class():
    (one,) = differences([[1.0, 0, 0]], [[1.0, 0.5, 0]], values=["y"])
    assert one.same_class is None
    assert one.float_scores[0].name == "1"


def test_nothing_to_rank():
    assert input_finding(differences([], [])) is None


@pytest.fixture(scope="module")
def outlier(classifier, pictures):
    """Returns inputs of which the last is 40 times the others, and the programs."""
    inputs = [*pictures[20:27], 40 * pictures[27]]
    program = capture(classifier, pictures[0])
    return inputs, program, pictures[:16]


def ranked(program, calibration, inputs):
    config = QuantizationConfig(rounding="nearest", ranges="minmax")
    quantized = quantize_program(program, calibration, config)
    arrays = [(x.numpy(),) for x in inputs]
    runs = [run_all(ReferenceRunner(one), arrays) for one in (program, quantized)]
    return sample_differences(program.signature, *runs)


def test_an_outlier_is_ranked_worst_and_its_remedy_helps(outlier):
    inputs, program, calibration = outlier
    before = ranked(program, calibration, inputs)
    assert before[0].index == len(inputs) - 1
    finding = input_finding(before)
    assert f"Input {len(inputs) - 1} differs most" in finding.title
    assert any("unlike the others" in text for text in finding.sentences)
    assert (
        finding.remedy[0].python
        == f"calibration_data=[*calibration_data, inputs[{len(inputs) - 1}]]"
    )
    after = ranked(program, [*calibration, inputs[-1], 40 * torch.ones_like(inputs[0])], inputs)
    (again,) = [one for one in after if one.index == len(inputs) - 1]
    assert again.snr_db > before[0].snr_db + 6


def test_without_an_outlier_nothing_is_advised(outlier):
    inputs, program, calibration = outlier
    assert input_finding(ranked(program, calibration, inputs[:-1])).remedy == ()
