"""A score that is a loss is noticed: zeros would be better."""

from __future__ import annotations

import torch
from torch import nn

import edgeopt
from edgeopt.deployment import baseline

X = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))


def warned(evaluate):
    model = nn.Linear(4, 2, bias=False)
    model.weight.data = torch.tensor([[3.0, 0, 0, 0], [0, 3.0, 0, 0]])
    given = {"example_inputs": X[:1], "calibration_data": X.split(1), "evaluate": evaluate}
    done = edgeopt.deploy(model.eval(), "host", backend="reference", **given)
    return [text for text in done.warnings if "return -loss" in text]


TRUTH = (X[:, 1] > X[:, 0]).long()


def test_a_loss_is_told():
    assert warned(lambda fn: float(nn.functional.cross_entropy(fn(X), TRUTH)))


def test_its_negative_and_a_share_are_not():
    assert not warned(lambda fn: -float(nn.functional.cross_entropy(fn(X), TRUTH)))
    assert not warned(lambda fn: float((fn(X).argmax(1) == TRUTH).float().mean()))


def test_a_score_that_zeros_break_is_no_doubt():
    def fragile(fn):
        scores = fn(X)
        return float((scores.argmax(1) == TRUTH).float().mean()) / float(bool(scores.any()))

    assert not warned(fragile)


def test_a_slow_score_is_never_asked_once_more(monkeypatch):
    calls = []

    def loss(fn):
        calls.append(fn)
        return float(nn.functional.cross_entropy(fn(X), TRUTH))

    assert warned(loss)
    quick = len(calls)
    monkeypatch.setattr(baseline, "QUICK_S", -1.0)
    calls.clear()
    assert not warned(loss)
    assert len(calls) == quick - 1
