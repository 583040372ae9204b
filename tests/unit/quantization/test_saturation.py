"""What a flat reader lets an activation's range leave out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.ir.reference import Simulation
from edgeopt.options import QuantizationConfig
from edgeopt.quantization.pipeline import quantize_program
from edgeopt.quantization.saturation import useful_range

LOW, HIGH = -13.0, 14.0


class Read(nn.Module):
    """A linear layer and what reads it."""

    def __init__(self, reader):
        super().__init__()
        self.first, self.last, self.reader = nn.Linear(8, 8), nn.Linear(8, 8), reader

    def forward(self, x):
        return self.last(self.reader(self.first(x)))


def captured(program, reader):
    found = program(lambda: Read(reader), torch.zeros(1, 8))
    return found, next(n for n in found.graph.nodes if n.target is torch.ops.aten.linear.default)


@pytest.mark.parametrize(
    "reader", [nn.functional.silu, nn.functional.gelu, nn.functional.hardswish]
)
def test_what_a_reader_takes_to_zero_is_left_out(program, reader):
    _, node = captured(program, reader)
    low, high = useful_range(node, LOW, HIGH)
    assert LOW < low < -2.5
    assert high == HIGH
    beyond = torch.linspace(-1000.0, low, 5000)
    step = (HIGH - LOW) / 255
    assert float((reader(beyond) - reader(torch.tensor(low))).abs().max()) < 0.11 * step


@pytest.mark.parametrize(("reader", "step"), [(torch.sigmoid, 1 / 256), (torch.tanh, 1 / 128)])
def test_a_sigmoid_and_a_tanh_are_flat_at_both_ends(program, reader, step):
    _, node = captured(program, reader)
    low, high = useful_range(node, LOW, HIGH)
    assert LOW < low < 0.0 < high < HIGH
    assert 1.0 - float(reader(torch.tensor(high))) < 0.1 * step


@pytest.mark.parametrize(
    "reader",
    [
        lambda x: x + torch.sigmoid(x),
        lambda x: x * torch.sigmoid(x + 1),
        nn.functional.leaky_relu,
        lambda x: nn.functional.gelu(x) + x,
    ],
)
def test_nothing_is_left_out_for_other_readers(program, reader):
    _, node = captured(program, reader)
    assert useful_range(node, LOW, HIGH) == (LOW, HIGH)


def test_a_range_within_what_matters_stays(program):
    _, node = captured(program, nn.functional.silu)
    assert useful_range(node, -1.0, 2.0) == (-1.0, 2.0)


def snr_db(program, quantized, inputs):
    plain, rounded = Simulation(program), Simulation(quantized)
    pairs = [(plain.outputs([x])[0], rounded.outputs([x])[0]) for x in inputs.split(1)]
    signal = sum(float(a.square().sum()) for a, _ in pairs)
    noise = sum(float((a - b).square().sum()) for a, b in pairs)
    return float(10 * torch.log10(torch.tensor(signal / noise)))


def test_a_long_flat_side_takes_no_integers(program):
    def make():
        made = Read(nn.functional.silu)
        made.first.weight.data *= 4.0
        made.first.bias.data[:4] = -40.0  # channels that are almost never on
        return made

    found = program(make, torch.zeros(1, 8))
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    data, others = list(inputs[:32].split(1)), inputs[32:]
    cut = quantize_program(found, data)
    whole = quantize_program(found, data, QuantizationConfig(ranges="minmax"))
    first = next(n.name for n in found.graph.nodes if n.target is torch.ops.aten.linear.default)
    assert float(cut.quant[first].scale[0]) < 0.5 * float(whole.quant[first].scale[0])
    assert snr_db(found, cut, others) > snr_db(found, whole, others) + 1
