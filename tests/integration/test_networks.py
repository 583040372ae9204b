"""Random small networks through the steps of deploy: right, or somebody is told."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import torch

import edgeopt
from edgeopt.testing.networks import Bench, Input, Network, Step, generate, shrink, side_by_side
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
    every = list(bench.examine_together({seed: generate(seed) for seed in QUICK}))
    assert {seed for seed, _ in every} == set(QUICK)
    assert not [one for _, one in every if one.is_fault or one.kind == "not the same"]


def test_networks_side_by_side_compute_what_each_does_alone():
    networks = [generate(seed) for seed in QUICK]
    samples = [network.samples(1, 0)[0] for network in networks]
    both = side_by_side(networks).module()(*(t for one in samples for t in one))
    alone = [network.module()(*one) for network, one in zip(networks, samples, strict=True)]
    alone = [one if isinstance(one, tuple) else (one,) for one in alone]
    torch.testing.assert_close(both, tuple(t for one in alone for t in one), rtol=0, atol=0)


def line(*texts, sample="torch.randn(1, 4)"):
    """A network of one input and one step after another."""
    steps = tuple(Step(text, (n,)) for n, text in enumerate(texts))
    return Network((Input(sample),), steps, (len(steps),))


@pytest.mark.parametrize("backend", ["reference", *map(needs, ("tflite", "openvino", "tvm"))])
def test_a_softplus_of_far_negative_numbers_is_small_and_not_zero(backend):
    """log(1 + u) of a small u is u; 1 + u is 1."""
    sample = "torch.randn(1, 30) * 5 - 20"
    network = line("F.softplus({0})", "torch.where({0} > 0, {0} * 1e6, 50.0)", sample=sample)
    assert [one.kind for one in Bench([backend], ["float32"]).examine(network)] == ["right"]


def test_what_is_wrong_beside_others_is_examined_alone(monkeypatch):
    """And the others are not: what they are has been seen."""
    from edgeopt.testing.networks import case

    real, seen = case.Case.verdicts, []

    def verdicts(self, job):
        seen.append(list(self.seeds))
        every = real(self, job)
        return {s: ("wrong", "3 dB") if len(every) > 1 and s == 2 else v for s, v in every.items()}

    monkeypatch.setattr(case.Case, "verdicts", verdicts)
    networks = {1: line("{0}.relu()"), 2: line("{0}.tanh()"), 3: line("{0} * 2")}
    every = dict(Bench(["reference"], ["float32"]).examine_together(networks))
    assert seen == [[1, 2, 3], [2]]
    assert {seed: one.kind for seed, one in every.items()} == {1: "right", 2: "wrong", 3: "right"}
    assert every[2].what == "beside others only: 3 dB"


def test_a_network_that_is_refused_does_not_hinder_the_others():
    networks = {1: line("{0}.relu()"), 2: line("torch.fft.fft({0}).abs()"), 3: line("{0} * 2")}
    every = list(Bench(["reference"], ["float32"]).examine_together(networks))
    kinds = {seed: one.kind for seed, one in every}
    assert kinds[1] == kinds[3] == "right"
    assert kinds[2] in {"right", "refused"}


@pytest.mark.parametrize("backend", [needs("tflite")])
def test_what_has_no_kernel_is_refused_by_name_and_the_others_go_on_without_it(
    backend, monkeypatch
):
    from edgeopt.testing.networks import examine

    made = []

    class Counted(examine.Case):
        def __init__(self, networks):
            made.append(list(networks))
            super().__init__(networks)

    monkeypatch.setattr(examine, "Case", Counted)
    networks = {1: line("{0}.relu()"), 2: line("torch.special.i0({0})"), 3: line("{0} * 2")}
    every = dict(Bench([backend], ["float32"]).examine_together(networks))
    assert {seed: one.kind for seed, one in every.items()} == {1: "right", 2: "refused", 3: "right"}
    assert "i0" in every[2].what
    assert made == [[1, 2, 3], [1, 3]]


def test_a_backend_may_take_one_block_of_networks_in_several():
    bench = Bench(["reference"], ["float32"], {"reference": 2})
    network = line("{0}.relu()")
    counts = [len(list(bench.examine(network, seed))) for seed in (0, 7, 8, 15, 16)]
    assert counts == [1, 1, 0, 0, 1]


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


class Dying:
    """Stands where a backend's answer would be: dies of one network, or of two in one program."""

    def __init__(self, bench, *, together=False):
        self.bench, self.together = bench, together

    def examine_together(self, networks):
        if 1 in networks and (not self.together or len(networks) > 1):
            os.kill(os.getpid(), signal.SIGKILL)
        yield from self.bench.examine_together(networks)


@pytest.mark.parametrize("together", [1, 2, 3])
def test_a_crash_is_an_outcome_and_the_next_seed_goes_on(together):
    results = list(examine_isolated(Dying(Bench([], [])), [0, 1, 2], together))
    assert [one.seed for one in results] == [0, 1, 2]
    assert [o.kind for o in results[1].outcomes] == ["crash"]
    assert not results[0].outcomes
    assert not results[2].outcomes


def test_a_crash_of_networks_in_one_program_is_one_though_none_crashes_alone():
    results = list(examine_isolated(Dying(Bench([], []), together=True), [0, 1, 2, 3], 2))
    assert [one.seed for one in results] == [0, 1, 2, 3]
    ((crash,),) = [one.outcomes for one in results if one.outcomes]
    assert crash.kind == "crash"
    assert crash.what == "SIGKILL of seeds 0 to 1 side by side, of none alone"


def test_where_nothing_fits_the_inputs_another_network_is_made():
    assert generate(21763).steps


def test_what_torch_has_no_answer_to_is_not_held_against_an_artefact():
    """Such as a row that a mask hides whole, among the fresh samples alone."""
    from edgeopt.testing.networks.case import Case

    one = Case({0: line("{0}.tanh()")})
    got = [tuple(answer.copy() for answer in every) for every in one.wanted]
    one.wanted[0][0][0, 1] = np.nan
    assert one._lost(0, got, 60.0) == ""
    one.wanted[0][0][0, 1] = np.inf  # in float32, and not in float64
    assert one._lost(0, got, 60.0) == ""
    one._exact[0][0][0, 1] = np.inf
    assert one._lost(0, got, 60.0)


def test_a_wrong_answer_is_seen(monkeypatch):
    network = line("{0}.relu()")
    (right,) = Bench(["reference"], ["float32"]).examine(network)
    assert right.kind == "right"
    from edgeopt.testing.networks import case

    real = case.run_all
    monkeypatch.setattr(
        case, "run_all", lambda *a, **k: [tuple(x * 0.5 for x in one) for one in real(*a, **k)]
    )
    kinds = [one.kind for one in Bench(["reference"], ["float32"]).examine(network)]
    assert kinds == ["wrong", "wrong"]
