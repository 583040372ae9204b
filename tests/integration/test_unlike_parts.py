"""Parts of unlike size, fills and small differences: the same right numbers on every backend."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import edgeopt
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry.target_registry import find_target

BACKENDS = ("tflite", "openvino", "tvm")


def needs(name):
    info = edgeopt.backends().get(name)
    there = info is not None and info.load().available() is None
    reason = f"NOT CHECKED: pip install 'edgeopt[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(not there, reason=reason))


EACH = pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])


class Two(nn.Module):
    """Two convolutions, and a function of what they give."""

    def __init__(self, function, one, two, head):
        super().__init__()
        self.function, self.one, self.two, self.head = function, one, two, head

    def forward(self, x):
        return self.head(self.function(x, self.one(x), self.two(x)))


def two(function, *, last=2, head=None, loud=None):
    torch.manual_seed(0)
    one, other = nn.Conv2d(3, 4, 1), nn.Conv2d(3, last, 1)
    if loud:
        with torch.no_grad():
            one.weight[0] *= loud
    return Two(function, one, other, head or nn.Identity()).eval()


class Cell(nn.Module):
    """A recurrent cell by hand."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.step = nn.Linear(24 + 8, 8)

    def forward(self, x):
        state = x.new_zeros(1, 8)
        for row in x.flatten(2).transpose(1, 2)[:, :, :].permute(1, 0, 2).reshape(8, 1, 24):
            state = torch.tanh(self.step(torch.cat([row, state], 1)))
        return state


CASES = {
    "boxes and scores": (two(lambda _, a, b: torch.cat([a * 100, b.sigmoid()], 1)), 4),
    "stacked": (two(lambda _, a, b: torch.stack([a * 100, b.sigmoid()], 1), last=4), 1),
    "boxes and logits": (two(lambda _, a, b: torch.cat([a.relu() * 300, b], 1)), 4),
    "gate in front of a convolution": (
        two(lambda _, a, b: torch.cat([2 * a, b.sigmoid()], 1), head=nn.Conv2d(6, 4, 1)),
        0,
    ),
    "the input beside its gate": (two(lambda x, *_: torch.cat([x.sigmoid(), x], 1)), 3),
    "a fill": (two(lambda _, a, __: functional.pad(a, (1,) * 4, value=50.0)), 0),
    "nothing around pooling": (
        two(
            lambda _, a, __: functional.max_pool2d(
                functional.pad(a, (0, 1, 0, 1), value=-math.inf), 3, 2
            )
        ),
        0,
    ),
    "a loud channel": (two(lambda _, a, __: functional.hardswish(a), loud=300.0), 1),
    "a mask that is added": (
        two(
            lambda _, a, __: (a + torch.tensor([0.0, -1e9]).repeat(4)).amax((2, 3)),
        ),
        0,
    ),
    "a small difference": (two(lambda _, a, b: (a + b) - (b + 1.001 * a), last=4), 0),
    "a recurrent cell": (Cell().eval(), 0),
}


def parts_db(wanted, got, first):
    found = []
    axis = 2  # behind the samples and the batch
    for part in (slice(0, first), slice(first, None)):
        a, b = (np.moveaxis(v, axis, 0)[part] for v in (wanted, got))
        noise = np.square(a - b).sum()
        if a.size:
            found.append(10 * np.log10(np.square(a).sum() / noise) if noise else np.inf)
    return found


@EACH
@pytest.mark.parametrize("case", CASES)
def test_each_part_is_right_and_equal_to_the_reference(backend, case):
    model, first = CASES[case]
    generator = torch.Generator().manual_seed(1)
    samples = [torch.randn(1, 3, 8, 8, generator=generator) for _ in range(16)]
    tool, target = edgeopt.backends()[backend].load(), find_target("generic-x86-64-v3")
    exact = run_core(capture_module(model, (samples[0],)))
    config = QuantizationConfig(weight_bits=find_target("host").quantization.weight_bits)
    lowered = tool.lower(quantize_program(exact, samples, config), target)
    runner = tool.load(tool.compile(lowered, CompileOptions()), threads=1)
    reference = ReferenceRunner(lowered.program)
    with torch.no_grad():
        wanted = np.stack([model(s).numpy() for s in samples])
    got = np.stack([runner(s.numpy()) for s in samples])
    same = np.stack([reference(s.numpy()) for s in samples])
    np.testing.assert_allclose(got, same, rtol=0, atol=1e-5 * max(1.0, np.abs(same).max()))
    assert min(parts_db(wanted, got, first)) > 25
