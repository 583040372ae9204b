"""Ranges, error and histograms of values, watched while both forms run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.gate.float_program import float_program
from edgeopt.gate.value_statistics import (
    BINS,
    ELEMENTS,
    LEVELS,
    SAMPLES,
    FloatValues,
    RoundedValues,
    value_statistics,
)
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.passes import run_core


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return torch.relu(self.conv(x)) + 1.0


def samples(count=6, scale=1.0):
    chance = torch.Generator().manual_seed(0)
    return [scale * torch.randn(1, 3, 16, 16, generator=chance) for _ in range(count)]


@pytest.fixture
def quantized():
    import edgeopt

    torch.manual_seed(0)
    net = Net().eval()
    program = run_core(capture_module(net, samples(1)[0]))
    return edgeopt.quantize(program, calibration_data=samples())


def statistics_of(program, inputs):
    wanted = FloatValues()
    for sample in inputs:
        ReferenceRunner(float_program(program), observe=wanted.observe)(sample.numpy())
    rounded = RoundedValues(wanted)
    for sample in inputs:
        ReferenceRunner(program, observe=rounded.observe)(sample.numpy())
    return {one.value: one for one in value_statistics(wanted, rounded, program)}


def test_extremes_are_of_all_elements(quantized):
    inputs = samples(SAMPLES)
    seen = []
    net = float_program(quantized)
    for sample in inputs:
        values = {}
        ReferenceRunner(
            net, observe=lambda node, value, kept=values: kept.update({node.name: value})
        )(sample.numpy())
        seen.append(values["relu"])
    one = statistics_of(quantized, inputs)["relu"]
    assert one.low == pytest.approx(min(float(v.min()) for v in seen), abs=1e-3)
    assert one.high == pytest.approx(max(float(v.max()) for v in seen), rel=1e-3)
    assert one.elements <= SAMPLES * ELEMENTS


def test_a_value_on_a_grid_has_its_ends_and_a_ratio(quantized):
    one = statistics_of(quantized, samples())["relu"]
    spec = quantized.quant["relu"]
    assert (one.storage, one.zero_point) == ("int8", int(spec.zero_point[0]))
    assert one.grid_low == pytest.approx(spec.low, abs=1e-3)
    assert one.grid_high == pytest.approx(spec.high, rel=1e-3)
    assert 25 < one.snr_db < 60
    assert one.clipped < 0.01


def test_what_lies_beyond_the_grid_is_counted_and_costs(quantized):
    near, far = (statistics_of(quantized, samples(scale=scale))["relu"] for scale in (1.0, 4.0))
    assert far.clipped > 10 * max(near.clipped, 0.001)
    assert far.snr_db < near.snr_db - 10
    assert far.bin_high == pytest.approx(far.high)
    assert far.high > far.grid_high


def test_a_histogram_has_its_fullest_bin_at_the_top(quantized):
    one = statistics_of(quantized, samples())["relu"]
    assert len(one.histogram) == BINS
    assert one.histogram[0] == LEVELS[-1]  # what relu cut to zero
    assert set(one.histogram) <= set(LEVELS)


def test_float_loses_nothing(quantized):
    one = statistics_of(float_program(quantized), samples())["relu"]
    assert one.snr_db == 200
    assert (one.storage, one.grid_low, one.clipped) == ("", None, 0.0)


def test_values_whose_channels_were_rescaled_have_no_ratio(quantized):
    moved = quantized.with_step("equalize", {}, {"values": ["relu"]})
    statistics = statistics_of(moved, samples())
    assert statistics["relu"].snr_db is None
    assert statistics["add"].snr_db is not None
