"""The culprit is named first with what it costs; keeping it in float, or in 16 bits, helps as was said."""

from __future__ import annotations

import ast

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.explaining.losses import KeptInFloat, extra_bytes, loss_findings
from edgeopt.explaining.rows import ValueRow
from edgeopt.gate.metrics import snr_db
from edgeopt.gate.sensitivity import Sensitivity, sensitive_values
from edgeopt.ir import ReferenceRunner
from edgeopt.quantization import QuantizationConfig, quantize_program


class Culprit(nn.Module):
    """Two convolutions of equal weight; between them one channel is 300 times the others."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
        self.third = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(self.second(x))
        x = torch.relu(self.third(x))
        return self.head(x.mean((2, 3)))


SETTINGS = {"ranges": "minmax", "rounding": "nearest", "equalization": "off"}


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(0)
    model = Culprit().eval()
    with torch.no_grad():
        model.second.weight[0] *= 300
        model.second.bias[0] *= 300
        model.third.weight[:, 0] /= 300
    data = [torch.randn(1, 3, 6, 6) for _ in range(12)]
    program = capture(model, data[0])
    return data, program, quantize_program(program, data, QuantizationConfig(**SETTINGS))


@pytest.fixture(scope="module")
def found(case):
    data, program, quantized = case
    sensitivities = sensitive_values(
        program, quantized, [[x] for x in data[:2]], limit=3, try_out=6
    )
    sizes = {one.value: extra_bytes(quantized, one.keep) for one in sensitivities}
    rows = [ValueRow("conv2d", "relu", "aten.conv2d.default", "integer", macs=100)]
    return sensitivities, loss_findings(sensitivities, rows, sizes=sizes, wide=True)


def ratio(case, **settings):
    data, program, _ = case
    quantized = quantize_program(program, data, QuantizationConfig(**SETTINGS, **settings))
    pairs = [
        (ReferenceRunner(program)(x.numpy()), ReferenceRunner(quantized)(x.numpy())) for x in data
    ]
    signal = sum(float(np.square(a).sum()) for a, _ in pairs)
    return snr_db(signal, sum(float(np.square(a - b).sum()) for a, b in pairs))


def settings_of(remedy):
    name, _, value = remedy.python.partition("=")
    assert name == "quantization"
    return ast.literal_eval(value)


def test_the_culprit_is_named_first(found):
    _, findings = found
    assert findings[0].kind == "loss"
    assert "relu_1" in findings[0].nodes
    assert "test_losses.py:" in findings[0].title


def test_each_remedy_improves_the_outputs(case, found):
    _, findings = found
    before = ratio(case)
    kept, wide = findings[0].remedy[:2]
    assert kept.what.startswith("Keep it")
    gain = next(e.value for e in findings[0].evidence if e.what == "gain at the outputs")
    assert ratio(case, **settings_of(kept)) > before + 0.5 * gain
    assert wide.what == "Give it 16 bits."
    assert ratio(case, **settings_of(wide)) > before + 3


def test_flags_say_the_same_as_python(found):
    _, findings = found
    from edgeopt.cli.read import settings

    for remedy in findings[0].remedy:
        import shlex

        _, text = shlex.split(remedy.flags)
        assert settings([text], where="--set") == settings_of(remedy)


def test_bytes_are_those_of_the_weights(case):
    _, _, quantized = case
    assert extra_bytes(quantized, ["conv2d"]) == 3 * 3 * 8
    assert extra_bytes(quantized, ["relu"]) == 0


def test_costs_are_said_with_where_they_come_from():
    one = Sensitivity("v", "aten.mul.Tensor", "m", "", 3.0, 3.0, 0.2, 0.4, ("v",), ("v",))
    rows = [ValueRow("v", "v", "aten.mul.Tensor", "integer", macs=25),
            ValueRow("w", "w", "aten.mul.Tensor", "integer", macs=75)]  # fmt: skip
    (finding,) = loss_findings(
        [one], rows, sizes={"v": 2048}, kept=KeptInFloat(20.0, 21.0, 512, 1.1)
    )
    basis = {e.what: (e.value, e.basis) for e in finding.evidence}
    assert basis["weights in float32 instead"] == (2.0, "counted")
    assert basis["multiply-adds that would be float"] == (25.0, "counted")
    assert basis["compiled so: gain at the outputs"] == (1.0, "measured")
    assert basis["compiled so: time"] == (1.1, "measured")
    assert any("cut off" in text for text in finding.sentences)
    assert any("No single value" in text for text in finding.sentences)
    assert "minmax" in finding.remedy[-1].python


@pytest.mark.parametrize(("gains", "shown"), [((9.0, 2.0, 0.4), 2), ((0.8, 0.4), 1), ((), 0)])
def test_advice_that_gains_nothing_is_not_given(gains, shown):
    values = [
        Sensitivity(f"v{place}", "aten.mul.Tensor", "m", "", 3.0, 3.0, 0.0, gain_db, ("v",))
        for place, gain_db in enumerate(gains)
    ]
    assert [one.nodes for one in loss_findings(values, [])] == [("v",)] * shown
