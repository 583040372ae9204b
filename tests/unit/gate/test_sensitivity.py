"""The value that does the harm is found, and keeping its operators in float helps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.gate.diagnose import diagnose
from edgeopt.gate.metrics import LikenessMeter
from edgeopt.gate.sensitivity import sensitive_values
from edgeopt.ir import ReferenceRunner
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry import find_target


class Spiky(nn.Module):
    """Between two convolutions, a value of which one channel is a thousand times the others."""

    def __init__(self):
        super().__init__()
        self.calm, self.last = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)
        self.register_buffer("gain", torch.tensor([1000.0, 1, 1, 1]).reshape(4, 1, 1))

    def forward(self, x):
        x = torch.relu(self.calm(x))
        x = x * self.gain
        x = torch.relu(self.last(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="module")
def spiky():
    torch.manual_seed(0)
    model = Spiky().eval()
    model.last.weight.data[:, 0] *= 1e-3
    data = [3 * torch.randn(1, 4, 8, 8) for _ in range(12)]
    program = capture(model, data[0])
    config = QuantizationConfig(ranges="minmax", rounding="nearest")
    return model, data, program, quantize_program(program, data, config)


def rescaled(program, data):
    return quantize_program(program, data, QuantizationConfig(keep_float=("*",)))


def snr(program, quantized, data):
    meter = LikenessMeter("y")
    for x in data:
        meter.add(ReferenceRunner(program)(x.numpy()), ReferenceRunner(quantized)(x.numpy()))
    return meter.likeness().snr_db


def test_the_worst_value_comes_first_with_its_place(spiky):
    _, data, program, quantized = spiky
    sensitivities = sensitive_values(rescaled(program, data), quantized, [[x] for x in data[:4]])
    assert sensitivities
    gains = [sensitivity.gain_db for sensitivity in sensitivities]
    assert gains == sorted(gains, reverse=True)
    assert sensitivities[0].operator == "aten.linear.default"  # mul is kept in float already
    assert sensitivities[0].source.startswith("test_sensitivity.py:")
    assert sensitivities[0].gain_db > 5
    assert sensitivities[0].value in str(sensitivities[0])


def test_keeping_its_operators_in_float_gains_what_was_measured(spiky):
    _, data, program, quantized = spiky
    worst = sensitive_values(rescaled(program, data), quantized, [[x] for x in data[:4]])[0]
    config = QuantizationConfig(ranges="minmax", rounding="nearest", keep_float=worst.keep)
    kept = quantize_program(program, data, config)
    assert snr(program, kept, data) > snr(program, quantized, data) + 0.5 * worst.gain_db


class Twins(nn.Module):
    """Two branches side by side, each with a value of which one channel is far above the others."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.register_buffer("gain", torch.tensor([300.0, 1, 1, 1]).reshape(4, 1, 1))

    def forward(self, x):
        a = self.left(torch.relu(self.one(x)) * self.gain)
        b = self.right(torch.relu(self.other(x)) * self.gain)
        return a + b


def test_culprits_that_do_the_same_harm_are_both_found():
    """Either alone back in float would gain little: the other's noise stays."""
    torch.manual_seed(1)
    model = Twins().eval()
    for layer in (model.left, model.right):
        layer.weight.data[:, 0] *= 1e-2
    data = [3 * torch.randn(1, 4, 8, 8) for _ in range(12)]
    program = capture(model, data[0])
    config = QuantizationConfig(ranges="minmax", rounding="nearest", equalization="off")
    quantized = quantize_program(program, data, config)
    same = QuantizationConfig(keep_float=("*",), equalization="off")
    floats = quantize_program(program, data, same)
    found = sensitive_values(floats, quantized, [[x] for x in data[:4]])
    branches = {name for one in found[:2] for name in one.keep}
    assert {"conv2d_1", "conv2d_3"} <= branches or {"conv2d_1", "conv2d_2"} <= branches
    kept = quantize_program(
        program, data, QuantizationConfig(
            ranges="minmax", rounding="nearest", equalization="off",
            keep_float=tuple(dict.fromkeys([*found[0].keep, *found[1].keep])),
        ),
    )  # fmt: skip
    assert snr(program, kept, data) > snr(program, quantized, data) + 10


def test_the_diagnosis_says_what_to_try(spiky):
    _, data, program, quantized = spiky
    sensitivities = sensitive_values(rescaled(program, data), quantized, [[x] for x in data[:4]])
    found = diagnose(find_target("rpi4"), precision="int8", sensitivities=sensitivities, samples=12)
    text = str(found)
    assert "keep_float" in text
    assert sensitivities[0].keep[0] in text
    assert "more inputs than 12" in text
    assert "dotprod" in text
    assert found.to_dict()["sensitivities"][0]["value"] == sensitivities[0].value
