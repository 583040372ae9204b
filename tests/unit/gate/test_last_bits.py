"""Outputs that hang on last bits: the reference itself cannot keep them, and parity says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeopt.gate.last_bits import shaken_outputs
from edgeopt.gate.parity import check_parity, run_all
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.passes import run_core


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def program_of(function, size=8.0):
    torch.manual_seed(0)
    samples = [(size * torch.randn(4, 16),) for _ in range(4)]
    program = run_core(capture_module(Calls(function).eval(), samples[0]))
    return program, [tuple(t.numpy() for t in one) for one in samples]


def parity_of(function, change):
    """Parity of a runtime whose outputs are the reference's, changed."""
    program, samples = program_of(function)
    reference = run_all(ReferenceRunner(program), samples)
    answers = iter(reference)
    return check_parity(lambda *_: change(next(answers)[0]), program, samples, reference)


HANGING = {
    "a floor below 1": lambda x: x.mul(4).sigmoid().floor(),
    "what underflows above 0": lambda x: (x.mul(4).softmax(1) > 0).float(),
    "a sum of what cancels": lambda x: torch.cat([x, -x.roll(3, 1)], 1).sum(1).sign(),
    "what cancels to 0": lambda x: x.tanh() - torch.minimum(x.tanh(), x.tanh()),
    "the spread of what is constant": lambda x: x.sign().abs().mul(0.1).std(1),
    "a norm of what is constant": lambda x: nn.functional.layer_norm(x.sign().abs() * 50, (16,)),
    "a sum beside a limit": lambda x: (x.sum(1) - x.sum(1).add(1).sub(1) > 0).float(),
}


@pytest.mark.parametrize("name", HANGING)
def test_what_hangs_on_last_bits_is_said_to(name):
    program, samples = program_of(HANGING[name])
    reference = run_all(ReferenceRunner(program), samples)
    shaken = shaken_outputs(program, samples)
    assert any((a[0] != b[0]).any() for a, b in zip(reference, shaken, strict=True))


def test_parity_fails_and_says_why():
    found = parity_of(HANGING["a floor below 1"], lambda y: np.where(np.arange(16) % 3, y, 1 - y))
    assert not found.ok
    assert found.hangs_on_last_bits
    assert any("last bits decide it" in reason for reason in found.reasons)


@pytest.mark.parametrize(
    "function", [torch.tanh, lambda x: x.floor(), lambda x: x.relu() @ x.T.exp()]
)
def test_a_wrong_answer_is_not_laid_to_last_bits(function):
    found = parity_of(function, lambda y: 0.8 * y)
    assert not found.ok
    assert not found.hangs_on_last_bits
    assert "last bits" not in "; ".join(found.reasons)
