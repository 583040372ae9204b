"""Values that no integer grid carries stay in float; everything else stays integer."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.ir import ReferenceRunner, ops
from edgeopt.quantization import quantize_program
from edgeopt.quantization.losses import measure_quality


class Chain(nn.Module):
    """Layers and functions one after another."""

    def __init__(self, *steps):
        super().__init__()
        self.layers = nn.ModuleList(s for s in steps if isinstance(s, nn.Module))
        self.steps = [s if not isinstance(s, nn.Module) else None for s in steps]

    def forward(self, x):
        layers = iter(self.layers)
        for step in self.steps:
            x = next(layers)(x) if step is None else step(x)
        return x


class Difference(nn.Module):
    """Two branches that give nearly the same."""

    def __init__(self, branch, *, both=False):
        super().__init__()
        self.one, self.two, self.both = branch, copy.deepcopy(branch), both
        with torch.no_grad():
            for weight in self.two.parameters():
                weight.add_(1e-3 * torch.randn_like(weight))

    def forward(self, x):
        difference = self.one(x) - self.two(x)
        return (difference, self.one(x)) if self.both else difference


class Masked(nn.Module):
    """Scores of which some places do not count."""

    def __init__(self, mark):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1)
        self.register_buffer("mask", torch.where(torch.rand(8, 8) > 0.3, 0.0, mark))

    def forward(self, x):
        return (self.conv(x) + self.mask).amax((2, 3))


def loud(layer, factor=300.0, channel=0):
    with torch.no_grad():
        layer.weight[channel] *= factor
        layer.bias[channel] *= factor
    return layer


def hears(layer, factor=300.0, channel=0):
    with torch.no_grad():  # as training leaves it: all channels matter alike
        layer.weight[:, channel] /= factor
    return layer


def pictures(count=16):
    generator = torch.Generator().manual_seed(1)
    return list(torch.randn(count, 3, 8, 8, generator=generator).split(1))


def channel_db(program, quantized, samples):
    """Returns the signal to noise of the worst channel of the first output."""

    def first(runner, x):
        made = runner(x.numpy())
        return torch.from_numpy(made[0] if isinstance(made, tuple) else made)

    exact, rounded = ReferenceRunner(program), ReferenceRunner(quantized)
    wanted = torch.cat([first(exact, s) for s in samples])
    noise = wanted - torch.cat([first(rounded, s) for s in samples])
    others = [d for d in range(wanted.ndim) if d != 1]
    return float(10 * torch.log10(wanted.square().sum(others) / noise.square().sum(others)).min())


def in_float(program):
    calls = [n for n in program.graph.nodes if n.op == "call_function"]
    return [n.name for n in calls if n.name not in program.quant and not ops.fused_activation(n)]


LOUD = {
    "hardswish": lambda: Chain(loud(nn.Conv2d(3, 8, 1)), functional.hardswish),
    "silu": lambda: Chain(loud(nn.Conv2d(3, 8, 3), 1000.0, 5), functional.silu),
    "relu": lambda: Chain(loud(nn.Conv2d(3, 8, 1)), functional.relu),
    "alone": lambda: Chain(loud(nn.Conv2d(3, 5, 1))),
    "one is quiet": lambda: Chain(loud(nn.Conv2d(3, 8, 1), 1 / 300, 3)),
    "linear": lambda: Chain(torch.flatten, lambda x: x[None], loud(nn.Linear(192, 6))),
    "depthwise": lambda: Chain(
        loud(nn.Conv2d(3, 8, 1)), functional.hardswish, nn.Conv2d(8, 8, 3, groups=8)
    ),
    "balanced behind it": lambda: Chain(
        loud(nn.Conv2d(3, 8, 1)),
        functional.hardswish,
        hears(nn.Conv2d(8, 4, 1)),
        functional.relu,
        nn.Conv2d(4, 3, 1),
    ),
    "mean": lambda: Chain(
        loud(nn.Conv2d(3, 8, 1)),
        functional.hardswish,
        lambda x: x.mean((2, 3)),
        hears(nn.Linear(8, 4)),
    ),
}


@pytest.mark.parametrize("kind", LOUD)
def test_a_loud_channel_does_not_cost_the_others(program, kind):
    samples = pictures()
    exact = program(LOUD[kind], samples[0])
    assert channel_db(exact, quantize_program(exact, samples), samples) > 25


DIFFERENCES = {
    "one layer": lambda: Difference(nn.Conv2d(3, 4, 1)),
    "two layers": lambda: Difference(Chain(nn.Conv2d(3, 8, 3), torch.relu, nn.Conv2d(8, 4, 1))),
    "shared weights": lambda: Difference(nn.Conv2d(3, 4, 1), both=True),
    "read again": lambda: Chain(
        Difference(nn.Conv2d(3, 4, 1)), lambda x: x.flatten(1), nn.Linear(256, 5)
    ),
    "variance by hand": lambda: Chain(
        nn.Conv2d(3, 4, 1), lambda y: (y + 50).square().mean((2, 3)) - (y + 50).mean((2, 3)) ** 2
    ),
}


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_a_small_difference_of_large_values(program, kind):
    samples = pictures()
    exact = program(DIFFERENCES[kind], samples[0])
    quantized = quantize_program(exact, samples)
    assert channel_db(exact, quantized, samples) > 25
    reasons = quantized.history[-2].effect["float"]
    assert any("dB are left of it" in reason for reason in reasons.values())


@pytest.mark.parametrize("mark", [-1e9, -1e4, -math.inf, torch.finfo(torch.float32).min])
def test_a_mask_that_is_added_does_not_take_the_grid(program, mark):
    samples = pictures()
    exact = program(lambda: Masked(mark), samples[0])
    assert channel_db(exact, quantize_program(exact, samples), samples) > 25


def test_nothing_leaves_the_integers_where_nothing_is_lost(residual, images):
    quantized = quantize_program(residual, images[:16])
    assert in_float(quantized) == []
    assert "float" not in quantized.history[-2].effect


def test_channels_are_judged_one_by_one():
    exact = torch.randn(4, 6, 10, 10)
    exact[:, 0] *= 300
    noise = torch.full_like(exact, 0.3)
    quality = measure_quality([exact], [exact + noise])
    assert quality.whole_db > 45
    assert quality.channels_db < 15
    assert quality.lost


def test_a_few_channels_next_to_nothing_are_no_loss():
    exact = torch.randn(1, 40) + torch.linspace(-1, 1, 40)
    exact = torch.cat([exact + 0.2 * torch.randn(1, 40) for _ in range(20)])
    assert not measure_quality([exact], [exact + 0.03]).lost


def test_marks_are_no_measure():
    exact = torch.randn(1, 2, 20)
    rounded = torch.zeros(1, 2, 20)
    exact[..., ::3] = rounded[..., ::3] = -1e9
    assert measure_quality([exact], [rounded]).whole_db < 1


def test_an_error_beyond_float32_is_a_quality_and_no_exception():
    quality = measure_quality([torch.ones(2, 3)], [torch.full((2, 3), 1e30)])
    assert quality.whole_db == -math.inf


def test_an_output_without_elements_loses_nothing():
    empty = [torch.zeros(0)]
    assert not measure_quality(empty, empty).lost
