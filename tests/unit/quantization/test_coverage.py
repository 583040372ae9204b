"""Whether calibration data covers what values reach: by leaving out each sample in turn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.ir import capture_module
from edgeopt.options import QuantizationConfig
from edgeopt.passes import run_core
from edgeopt.quantization import quantize_program
from edgeopt.quantization.coverage import uncovered_outputs
from edgeopt.quantization.views import View


def told(program, samples, **settings):
    quantized = quantize_program(program, samples, QuantizationConfig(**settings))
    (step,) = [one for one in quantized.history if one.name == "quantize"]
    return step.effect.get("new_sample_db", {})


class Tailed(nn.Module):
    """A layer whose result has tails as long as its input's."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x), x.flip(1)


def tailed(samples):
    return run_core(capture_module(Tailed().eval(), samples[0]))


def usual(count=30):
    torch.manual_seed(0)
    return [torch.randn(8, 4) for _ in range(count)]


def test_a_sample_far_beyond_all_others_says_that_another_may_be():
    samples = usual()
    samples[7] = samples[7] * 30
    kept = told(tailed(samples), samples)
    assert len(kept) == 2
    assert max(kept.values()) < 20


def test_ends_that_scatter_say_that_another_goes_farther():
    """The two farthest lie close together, so leaving one out says nothing."""
    ends = [
        0.4,
        0.5,
        0.5,
        0.7,
        0.2,
        0.0,
        1.2,
        0.1,
        1.675,
        0.8,
        1.5,
        1.2,
        0.1,
        0.2,
        1.1,
        1.4,
        1.2,
        0.8,
        1.701,
        0.6,
    ]
    samples = [torch.tensor([[-2.0, *[end] * 3]]) for end in ends]
    program = tailed(samples)
    (name,) = program.input_names
    pairs = [(-2.0, end) for end in ends]
    lost = uncovered_outputs([View(program, [[s] for s in samples])], {name: pairs}, {name: name})
    assert lost
    near = [(-2.0, 1.6 + end / 20) for end in ends]
    samples = [torch.tensor([[-2.0, *[end] * 3]]) for _, end in near]
    assert not uncovered_outputs(
        [View(program, [[s] for s in samples])], {name: near}, {name: name}
    )


def test_samples_of_which_half_are_silence_cover():
    samples = [(0.01 if n % 2 else 1.0) * one.clamp(-1, 1) for n, one in enumerate(usual())]
    assert not told(tailed(samples), samples)


def test_usual_samples_cover():
    samples = usual()
    assert not told(tailed(samples), samples)


def test_ranges_that_were_given_are_the_users_choice():
    samples = usual()
    samples[7] = samples[7] * 30
    program = tailed(samples)
    names = [
        n.name for n in program.graph.nodes if n.name not in program.constants and n.op != "output"
    ]
    ranges = {name: {"low": -100.0, "high": 100.0} for name in names}
    assert not told(program, samples, overrides=ranges)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_samples(count):
    samples = usual(count)
    assert isinstance(told(tailed(samples), samples), dict)


def test_what_a_range_holds_anyway_is_not_cut():
    """Zero is in every range: a sample that alone reaches below all others, and not below 0."""
    samples = [torch.full((1, 4), v) for v in (6.0, 6.0, 1.0, 6.0)]
    program = tailed(samples)
    (name,) = program.input_names
    pairs = [(float(s.min()), float(s.max())) for s in samples]
    assert not uncovered_outputs(
        [View(program, [[s] for s in samples])], {name: pairs}, {name: name}
    )
    pairs[1] = (5.0, 20.0)
    samples[1] = torch.full((1, 4), 20.0)
    lost = uncovered_outputs([View(program, [[s] for s in samples])], {name: pairs}, {name: name})
    assert lost.keys() == set(program.output_names)
