"""Which weights of few bits do harm, and that a deployment keeps those at 8 bits before it fails."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.api import capture
from edgeopt.contracts.storage import INT4, INT8
from edgeopt.errors import GateError
from edgeopt.gate.weight_sensitivity import sensitive_weights
from edgeopt.options import QuantizationConfig
from edgeopt.quantization import quantize_program

DATA = [torch.randn(4, 64, generator=torch.Generator().manual_seed(n)) for n in range(12)]


class Sum(nn.Module):
    """Two linears side by side; one counts a hundred times as much as the other."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.loud, self.quiet = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x):
        return self.loud(x) + 0.01 * self.quiet(x)


@pytest.fixture(scope="module")
def program():
    return capture(Sum().eval(), DATA[0])


@pytest.mark.parametrize("data", [None, DATA], ids=["nearest", "solved"])
def test_what_counts_most_comes_first(program, data):
    quantized = quantize_program(program, data, QuantizationConfig(precision="int4-dynamic"))
    loud, quiet = sensitive_weights(program, quantized, [(x,) for x in DATA[:2]])
    assert (loud.module, quiet.module) == ("loud", "quiet")
    assert loud.gain_db > 20
    assert quiet.gain_db < 0.1
    assert 10 < loud.rounding_db < 30


def deployed(max_drop):
    return edgeopt.deploy(
        Sum().eval(),
        "host",
        backend="reference",
        example_inputs=DATA[0],
        calibration_data=DATA,
        precision="int4-dynamic",
        max_drop=max_drop,
        evaluate=lambda run: -sum(_error(run, x) for x in DATA[:3]),
    )


def _error(run, x):
    exact = Sum().eval()(x).detach().numpy()
    return float(((run(x.numpy()) - exact) ** 2).sum())


def test_the_harmful_layer_keeps_eight_bits_where_four_lose_too_much():
    loose, tight = deployed(1000.0), deployed(0.05)
    kinds = [
        [d.program.quant[f"p_{n}_weight"].storage for n in ("loud", "quiet")]
        for d in (loose, tight)
    ]
    assert kinds == [[INT4, INT4], [INT8, INT4]]
    assert tight.program.precision == "int4-dynamic"


def test_a_precision_that_was_asked_for_is_not_left():
    with pytest.raises(GateError, match="drop"):
        deployed(0.0)
