"""Random small networks through the steps of deploy: right, or somebody is told."""

from __future__ import annotations

import os
import signal

import pytest
import torch

import edgeopt
from edgeopt.testing.networks import Bench, Input, Network, Step, generate, shrink
from edgeopt.testing.networks.isolation import examine_isolated

QUICK = (8, 9, 13)


def needs(name):
    info = edgeopt.backends().get(name)
    ready = info is not None and info.load().available() is None
    reason = f"NOT CHECKED: pip install 'edgeopt[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(not ready, reason=reason))


@pytest.mark.parametrize("backend", [needs("tflite"), needs("openvino")])
def test_a_fixed_few_are_right_or_somebody_is_told(backend):
    bench = Bench([backend], ["float32", "int8"])
    for seed in QUICK:
        every = list(bench.examine(generate(seed), seed))
        assert every
        assert not [one for one in every if one.is_fault or one.kind == "not the same"]


def test_the_same_seed_makes_the_same_network_and_others_others():
    assert generate(5) == generate(5)
    assert len({generate(seed).source for seed in range(20)}) == 20


def test_what_is_printed_runs():
    network = generate(7)
    names = {}
    exec(network.source, names)  # noqa: S102 (what a person would do with it)
    got = names["Network"]().eval()(*names["example"])
    torch.manual_seed(0)
    assert isinstance(got, (torch.Tensor, tuple))
    again = network.module()(*names["example"])
    torch.testing.assert_close(again, got, equal_nan=True)


def test_a_failing_network_becomes_as_small_as_its_fault():
    network = next(
        n for n in map(generate, range(99)) if "sigmoid" in n.source and len(n.steps) > 4
    )
    small = shrink(network, lambda n: "sigmoid" in n.source)
    assert len(small.steps) == 1


class Silent:
    """Stands where a backend's answer would be: one that dies, and one that is right."""

    def __init__(self, bench):
        self.bench = bench

    def examine(self, network, seed):
        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from self.bench.examine(network, seed)


def test_a_crash_is_an_outcome_and_the_next_seed_goes_on():
    results = list(examine_isolated(Silent(Bench([], [])), [0, 1, 2]))
    assert [one.seed for one in results] == [0, 1, 2]
    assert [o.kind for o in results[1].outcomes] == ["crash"]
    assert not results[2].outcomes


def test_a_wrong_answer_is_seen(monkeypatch):
    network = Network((Input("torch.randn(1, 4)"),), (Step("{0}.relu()", (0,)),), (1,))
    (right,) = Bench(["reference"], ["float32"]).examine(network)
    assert right.kind == "right"
    from edgeopt.testing.networks import examine

    real = examine.run_all
    monkeypatch.setattr(
        examine, "run_all", lambda *a, **k: [tuple(x * 0.5 for x in one) for one in real(*a, **k)]
    )
    kinds = [one.kind for one in Bench(["reference"], ["float32"]).examine(network)]
    assert kinds == ["wrong", "wrong"]
