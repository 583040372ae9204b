"""Scores that a softmax reads: large ones are moved by more than they tell apart, and somebody is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.deployment import Request, steps
from edgeopt.gate.scores import Scores, score_errors
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.options import Checks
from edgeopt.passes import run_core


class Attending(nn.Module):
    """Attention, or its softmax alone, whose scores grow with the square of ``factor``."""

    def __init__(self, factor, *, attention=False):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(8, 8)
        self.factor, self.attention = factor, attention

    def forward(self, x):
        h = self.linear(x) * self.factor
        query, key = h.chunk(2, -1)
        if self.attention:
            return nn.functional.scaled_dot_product_attention(query, key, h)
        return (query @ key.transpose(-1, -2)).softmax(-1)


def samples(count):
    torch.manual_seed(1)
    return [torch.randn(1, 6, 8) for _ in range(count)]


def warnings_of(model, precision):
    data = samples(26)
    program = steps.as_program(model.eval(), data[0])
    request = Request(
        backend="reference", precision=precision, calibration_data=data, checks=Checks(speed=False)
    )
    job = steps.plan(program, "host", request)
    baseline = steps.baseline(program, job)
    candidate = steps.quantize(job, steps.source(job, baseline))
    checked = steps.check(job, candidate, steps.compile(job, candidate), baseline)
    every = steps.report(job, checked, baseline).warnings
    return [one for one in every if "another one may be the largest" in one]


@pytest.mark.parametrize("attention", [False, True])
def test_rounding_that_turns_which_score_is_the_largest_is_told(attention):
    (warning,) = warnings_of(Attending(10.0, attention=attention), "int8")
    assert "the two largest scores of a row usually lie" in warning
    assert "test_scores.py" in warning


@pytest.mark.parametrize("precision", ["int8", "float16", "float32"])
def test_scores_of_usual_size_are_not_told_of(precision):
    assert not warnings_of(Attending(1.0), precision)


def test_float32_rounds_nothing():
    assert not warnings_of(Attending(100.0), "float32")


@pytest.mark.parametrize(
    ("moved", "told"), [(0.2, False), (2.0, True)], ids=["beside 1 it is small", "it is not"]
)
def test_the_distance_of_the_two_largest_counts(moved, told):
    class Shifted(nn.Module):
        def __init__(self, first):
            super().__init__()
            self.register_buffer("shift", torch.tensor([first, 0.0, 100.0]))

        def forward(self, x):
            return (x - self.shift).softmax(-1)

    x = torch.tensor([[5.0, 3.0, -100.0]])
    exact = Scores()
    rounded = Scores(exact)
    for first, scores in ((0.0, exact), (moved, rounded)):
        program = run_core(capture_module(Shifted(first).eval(), x))
        ReferenceRunner(program, watch=scores.watch)(x.numpy())
    errors = score_errors(exact, rounded)
    assert bool(errors) is told
    for one in errors:
        assert (one.distance, one.moved) == (2.0, 2.0)


def test_rows_that_a_mask_leaves_one_score_of_do_not_count():
    class Causal(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    x = samples(1)[0]
    exact = Scores()
    program = run_core(capture_module(Causal().eval(), x))
    ReferenceRunner(program, watch=exact.watch)(x.numpy())
    ((distances,),) = exact.distances.values()
    assert distances.isfinite().sum() == 5
