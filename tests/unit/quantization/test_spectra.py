"""Front ends for sounds: a power of which a logarithm is taken is no matter of a grid."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.gate.metrics import snr_db
from edgeopt.ir import kernel_kind
from edgeopt.ir.reference import Simulation
from edgeopt.quantization.pipeline import quantize_program
from edgeopt.quantization.spectra import spectra


class LogMel(nn.Module):
    """Spectrum by two products, power, filter bank, logarithm, and a classifier behind it."""

    def __init__(self, guard, power):
        super().__init__()
        angle = torch.arange(64.0)[:, None] * torch.arange(33.0) * torch.pi / 32
        self.real, self.imaginary = nn.Linear(64, 33, bias=False), nn.Linear(64, 33, bias=False)
        self.real.weight.data, self.imaginary.weight.data = angle.cos().T, -angle.sin().T
        self.bank = nn.Linear(33, 8, bias=False)
        self.bank.weight.data = torch.rand(8, 33)
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 4)
        self.guard, self.power = guard, power

    def forward(self, x):
        frames = x.reshape(1, -1, 64)
        mel = self.bank(self.power(self.real(frames), self.imaginary(frames)))
        return self.last(torch.relu(self.first(self.guard(mel).log())))


GUARDS = [lambda v: v + 1e-6, lambda v: v.clamp(min=1e-6), lambda v: v]
POWERS = [
    lambda a, b: a**2 + b**2,
    lambda a, b: a * a + b * b,
    lambda a, b: (a**2 + b**2).sqrt() ** 2,
]


def sounds(count, seed):
    """Returns sounds of very different loudness: (1, 512) each."""
    chance = torch.Generator().manual_seed(seed)
    time = torch.arange(512.0)
    loud = 10 ** torch.linspace(-3, 0, count)
    pitch = torch.rand(count, generator=chance)
    noise = 1e-3 * torch.randn(count, 512, generator=chance)
    return list((loud[:, None] * ((pitch[:, None] * time).sin() + noise)).unsqueeze(1))


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("power", POWERS)
def test_quiet_sounds_are_kept(program, guard, power):
    torch.manual_seed(0)
    made = program(lambda: LogMel(guard, power), torch.zeros(1, 512))
    quantized = quantize_program(made, sounds(16, 0))
    worst = 200.0
    for sound in sounds(8, 1):
        (wanted,) = Simulation(made).outputs([sound])
        (got,) = Simulation(quantized).outputs([sound])
        worst = min(
            worst, snr_db(wanted.square().sum().item(), (wanted - got).square().sum().item())
        )
    assert worst > 25
    linears = [n for n in quantized.graph.nodes if n.target is torch.ops.aten.linear.default]
    kinds = [kernel_kind(quantized, n).kind for n in linears]
    assert kinds == ["float"] * 3 + ["integer"] * 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x + 1).log(),
        lambda x: (x.sigmoid() ** 2).mean(-1),
        lambda x: (torch.tanh(x) * x.sigmoid()).log_softmax(-1),
    ],
)
def test_what_makes_no_power_is_left_alone(program, function):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            return function(self.layer(x))

    assert not spectra(program(Model, torch.zeros(1, 8)))
