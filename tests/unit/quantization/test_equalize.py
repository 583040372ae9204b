"""Channels are rescaled without a trace in float, and with less noise in integers."""

from __future__ import annotations

import torch
from torch import nn

from edgeopt.ir import ReferenceRunner
from edgeopt.quantization.channels import channel_spaces
from edgeopt.quantization.equalize import equalize
from edgeopt.quantization.statistics import channel_axes, collect_statistics
from edgeopt.quantization.views import View


def rescaled(program, samples, *, smoothing):
    axes = channel_axes(channel_spaces(program))
    statistics = collect_statistics([View(program, [[s] for s in samples])], axes=axes)
    return equalize(program, statistics, smoothing=smoothing)


def test_the_residual_stream_is_one_space(residual):
    spaces = [s for s in channel_spaces(residual) if not s.last]
    stream = next(s for s in spaces if len(s.producers) == 2)
    assert len(stream.values) >= 3
    assert len(stream.consumers) == 2


def test_nothing_behind_a_bounded_clamp_is_rescaled(residual):
    clamps = {n.name for n in residual.graph.nodes if n.target is torch.ops.aten.clamp.default}
    assert clamps
    assert not clamps & {v for s in channel_spaces(residual) for v in s.values}


def test_nothing_that_leaves_the_program_is_rescaled(program):
    captured = program(
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()), torch.zeros(1, 3, 4, 4)
    )
    assert channel_spaces(captured) == []


def test_equalization_keeps_the_function(program, images):
    class Uneven(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
            with torch.no_grad():
                self.one.weight[:2] *= 50

        def forward(self, x):
            return self.two(torch.relu(self.one(x)))

    captured = program(Uneven, images[0])
    changed = rescaled(captured, images, smoothing=False)
    assert changed.history[-1].name == "equalize"
    assert changed.history[-1].effect["expected_noise_ratio"] < 0.9
    before = ReferenceRunner(captured)(images[3].numpy())
    after = ReferenceRunner(changed)(images[3].numpy())
    torch.testing.assert_close(torch.tensor(after), torch.tensor(before), rtol=1e-4, atol=1e-4)


def test_smoothing_moves_large_channels_out_of_a_layer_norm(encoder, tokens):
    changed = rescaled(encoder, tokens, smoothing=True)
    assert changed.history[-1].name == "smooth"
    norm = next(n for n in changed.graph.nodes if n.target is torch.ops.aten.layer_norm.default)
    gamma = changed.constants[norm.args[2].name].abs()
    was = encoder.constants[norm.args[2].name].abs()
    assert gamma.max() / gamma.median() < was.max() / was.median() / 2
    before = ReferenceRunner(encoder)(tokens[3].numpy())
    after = ReferenceRunner(changed)(tokens[3].numpy())
    torch.testing.assert_close(torch.tensor(after), torch.tensor(before), rtol=1e-4, atol=1e-4)
