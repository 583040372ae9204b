from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.deployment.samples import collect_samples
from edgeopt.errors import CalibrationError


@pytest.fixture(scope="module")
def program():
    return capture(nn.ReLU().eval(), torch.ones(1, 3))


@pytest.fixture
def collected(program):
    def collect(data, *, example=None, calibrate=8, check=4, program=program):
        return collect_samples(program, data, example, calibrate=calibrate, check=check)

    return collect


def rows(count):
    return [torch.full((1, 3), float(i)) for i in range(count)]


def test_what_is_beyond_calibration_is_used_to_check(collected):
    found = collected(rows(20))
    assert len(found.calibration) == 8
    assert [float(c[0][0, 0]) for c in found.checks] == [8.0, 9.0, 10.0, 11.0]
    assert found.kind == "samples not calibrated on"


def test_where_nothing_is_beyond_the_calibration_samples_check_and_say_so(collected):
    found = collected(rows(9))
    assert found.kind == "calibration samples"
    assert [float(c[0][0, 0]) for c in found.checks] == [0.0, 2.0, 4.0, 6.0]


def test_batches_are_cut(collected):
    found = collected([torch.randn(5, 3), torch.randn(4, 3)], calibrate=100)
    assert len(found.calibration) == 9


def test_a_loader_with_labels(collected, tmp_path):
    data = torch.utils.data.TensorDataset(torch.randn(6, 3), torch.arange(6))
    found = collected(torch.utils.data.DataLoader(data, batch_size=4), calibrate=100)
    assert len(found.calibration) == 6


def test_an_endless_stream_ends(collected):
    def stream():
        while True:
            yield torch.randn(1, 3)

    assert len(collected(stream()).calibration) == 8


def test_without_data_only_the_example_is_checked_on(collected):
    found = collected(None, example=torch.ones(1, 3))
    assert len(found.calibration) == 0
    assert found.kind == "example input"
    np.testing.assert_array_equal(found.checks[0][0], np.ones((1, 3), np.float32))


def test_without_anything_nothing_is_made_up(collected):
    assert collected(None).checks == ()


class Masked(nn.Module):
    def forward(self, x, mask=None):
        return x.relu()


def test_none_among_the_example_inputs_is_left_out(collected):
    example = (torch.ones(1, 3), None)
    program = capture(Masked().eval(), example)
    found = collected(None, example=example, program=program)
    assert len(found.checks[0]) == 1


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "no sample"),
        (iter(()), "no sample"),
        (torch.ones(1, 3), "iterable of inputs"),
        ({"x": torch.ones(1, 3)}, "iterable of inputs"),
        ("photos", "iterable of inputs"),
        (5, "iterable of inputs"),
        ([torch.tensor([[1.0, float("nan"), 1.0]])], "NaN or infinite"),
        ([torch.tensor([[1.0, float("inf"), 1.0]])], "NaN or infinite"),
        ([torch.ones(1, 4)], "expected float32 of shape"),
        ([torch.ones(1, 3, dtype=torch.float64)], "expected float32"),
        ([torch.ones(1, 3), "photo.jpg"], "item 1"),
    ],
)
def test_bad_data_is_named(collected, data, says):
    with pytest.raises(CalibrationError, match=says):
        collected(data)


def test_a_quarter_is_held_back_where_enough_are_left(collected):
    found = collected(rows(32), calibrate=128, check=16)
    assert (len(found.calibration), len(found.checks)) == (24, 8)
    assert found.kind == "samples not calibrated on"
    used = {float(sample[0][0, 0]) for sample in found.calibration}
    assert not used & {float(check[0][0, 0]) for check in found.checks}


def test_nothing_is_held_back_of_few(collected):
    found = collected(rows(20), calibrate=128, check=16)
    assert (len(found.calibration), found.kind) == (20, "calibration samples")
