from __future__ import annotations

import gc
import time

import pytest

from edgeopt.bundles.device.edgeopt_runner.rounds import warm_up
from edgeopt.errors import InputError
from edgeopt.measure import interleave, ratio

pytestmark = pytest.mark.slow


def test_every_round_calls_each_once_in_changing_order():
    calls = []
    names = "abc"
    functions = {name: (lambda name=name: calls.append(name)) for name in names}
    samples = interleave(functions, warmup=2, runs=40)
    assert calls[:6] == ["a", "a", "b", "b", "c", "c"]
    rounds = ["".join(calls[i : i + 3]) for i in range(6, len(calls), 3)]
    assert len(rounds) == 40
    assert all(sorted(one) == list(names) for one in rounds)
    assert len(set(rounds)) == 6
    assert {name: len(held) for name, held in samples.items()} == dict.fromkeys(names, 40)


def test_a_slower_thing_is_found_slower():
    def spin(seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    functions = {"fast": lambda: spin(0.001), "slow": lambda: spin(0.002)}
    samples = interleave(functions, warmup=1, runs=40)
    found = ratio(samples["slow"], samples["fast"])
    assert found.verdict == "slower"
    assert found.value > 1.5  # 2 on a calm machine; exactly, below


def test_the_ratio_is_that_of_the_medians():
    fast = [1_000_000 + 1_000 * (n % 7) for n in range(80)]
    found = ratio([2 * ns for ns in fast], fast)
    assert found.value == pytest.approx(2, rel=1e-9)
    assert found.verdict == "slower"


def test_time_limits():
    nap = {"nap": lambda: time.sleep(0.01)}
    assert len(interleave(nap, warmup=0, runs=1000, max_time_s=0.2)["nap"]) <= 25
    assert len(interleave(nap, warmup=0, runs=1000, max_time_s=0.0)["nap"]) == 3
    assert len(interleave(nap, warmup=0, runs=2, max_time_s=0.0)["nap"]) == 2
    assert sum(interleave(nap, warmup=0, runs=1, min_time_s=0.1)["nap"]) >= 0.09e9


def test_garbage_is_not_collected_meanwhile_and_is_afterwards():
    seen = []
    interleave({"a": lambda: seen.append(gc.isenabled())}, warmup=0, runs=3)
    assert seen == [False] * 3
    assert gc.isenabled()

    def fails():
        if len(seen) > 4:
            raise ValueError("enough")
        seen.append(1)

    with pytest.raises(ValueError, match="enough"):
        interleave({"a": fails}, warmup=0, runs=10)
    assert gc.isenabled()


def test_nothing_to_do():
    with pytest.raises(InputError):
        interleave({})
    with pytest.raises(InputError):
        interleave({"a": lambda: None}, runs=0)


def test_warm_up_ends_when_times_are_stable():
    naps = iter([0.05, 0.04, 0.03, 0.02, 0.01] + [0.004] * 400)
    times = warm_up(lambda: time.sleep(next(naps)))
    assert 10 < len(times) < 100
    assert len(warm_up(lambda: None, 7)) == 7
    assert warm_up(lambda: None, 0) == []
    assert len(warm_up(lambda: time.sleep(0.02), limit_s=0.0)) == 3
