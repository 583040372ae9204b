"""Comparisons that rounding may turn on other inputs: somebody is told, unless the outputs show it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.deployment import Request, steps
from edgeopt.options import Checks


class Chosen(nn.Module):
    """What is above a limit, and a little less elsewhere."""

    def __init__(self, limit):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(8, 8)
        self.limit = limit

    def forward(self, x):
        h = self.linear(x)
        return torch.where(h > self.limit, h, h * 0.9)


def warnings_of(model, precision, count=26):
    torch.manual_seed(1)
    data = [torch.randn(1, 4, 8) for _ in range(count)]
    program = steps.as_program(model.eval(), data[0])
    request = Request(
        backend="reference", precision=precision, calibration_data=data, checks=Checks(speed=False)
    )
    job = steps.plan(program, "host", request)
    baseline = steps.baseline(program, job)
    candidate = steps.quantize(job, steps.source(job, baseline))
    checked = steps.check(job, candidate, steps.compile(job, candidate), baseline)
    every = steps.report(job, checked, baseline).warnings
    return [one for one in every if "a comparison may turn" in one]


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
def test_a_limit_among_rounded_numbers_is_told(precision):
    (warning,) = warnings_of(Chosen(0.1), precision)
    assert "test_turns.py" in warning
    assert "times a sample" in warning


class Stepped(nn.Module):
    """A step of what is rounded."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(8, 8)
        self.step = step

    def forward(self, x):
        return self.step(self.linear(x))


@pytest.mark.parametrize("step", [torch.floor, torch.ceil, torch.round, torch.sign])
def test_a_step_among_rounded_numbers_is_told(step):
    (warning,) = warnings_of(Stepped(step), "int8-dynamic")
    assert step.__name__ in warning


def test_a_step_far_from_all_numbers_is_not_told_of():
    assert not warnings_of(Stepped(lambda h: (h.tanh() * 0.05).round()), "int8-dynamic")


@pytest.mark.parametrize(("limit", "precision"), [(-40.0, "int8"), (0.1, "float32")])
def test_a_limit_far_from_all_numbers_or_of_what_is_not_rounded_is_not_told_of(limit, precision):
    assert not warnings_of(Chosen(limit), precision)


def test_how_many_turn_is_near_to_what_is_expected():
    from edgeopt.gate.turns import Comparisons, turns
    from edgeopt.ir import ReferenceRunner, capture_module
    from edgeopt.passes import run_core

    torch.manual_seed(0)
    program = run_core(capture_module(Chosen(0.1).eval(), (torch.zeros(1, 4, 8),)))
    exact, rounded = Comparisons(), Comparisons()
    for comparisons, noise in ((exact, 0.0), (rounded, 2e-4)):
        torch.manual_seed(1)
        runner = ReferenceRunner(program, watch=comparisons.watch)
        for _ in range(200):
            x = torch.randn(1, 4, 8)
            runner(
                (x + noise * torch.randn(x.shape)).numpy()
                if noise
                else (x + 0 * torch.randn(x.shape)).numpy()
            )
    (name,) = exact.distances
    want, have = (torch.cat(c.distances[name]) for c in (exact, rounded))
    turned = int(((want > 0) != (have > 0)).sum())
    (one,) = turns(exact, rounded)
    assert one.turned == turned
    assert turned / 3 <= 200 * one.expected <= max(3 * turned, 3)
