from __future__ import annotations

import numpy as np
import pytest

from edgeopt.errors import InputError
from edgeopt.measure import ratio, summarize


def test_a_summary_of_known_times():
    latency = summarize([n * 1_000_000 for n in (5, 1, 2, 4, 3)])
    assert (latency.median_ms, latency.min_ms, latency.iqr_ms, latency.runs) == (3, 1, 2, 5)
    assert latency.p90_ms is None
    assert str(latency) == "3 ms median (5 runs)"


@pytest.mark.parametrize(
    ("runs", "p90", "p99"),
    [
        (1, False, False),
        (63, False, False),
        (64, True, False),
        (661, True, False),
        (662, True, True),
    ],
)
def test_percentiles_only_where_enough_runs_carry_them(runs, p90, p99):
    latency = summarize(range(1, runs + 1))
    assert (latency.p90_ms is not None, latency.p99_ms is not None) == (p90, p99)
    assert ("p90" in str(latency), "p99" in str(latency)) == (p90, p99)
    if p99:
        assert latency.p99_ms * 1e6 == pytest.approx(1 + 0.99 * (runs - 1))


@pytest.mark.parametrize("wrong", [[], [0], [-1, 2], [float("nan")], [float("inf")]])
def test_times_that_are_none(wrong):
    with pytest.raises(InputError):
        summarize(wrong)
    with pytest.raises(InputError):
        ratio([1] * 10, wrong)


def times(seed: int, runs: int, *, factor: float = 1.0, drift: float = 0.3):
    """Two interleaved series: a shared drift, some spikes, and noise that follows itself."""
    noise = np.random.default_rng(seed)
    shared = 1 + drift * np.sin(np.linspace(0, 6, runs) + noise.uniform(0, 6))
    made = []
    for scale in (factor, 1.0):
        own = np.zeros(runs)
        for i in range(1, runs):
            own[i] = 0.5 * own[i - 1] + noise.normal(0, 0.03)
        spikes = 1 + (noise.random(runs) < 0.03) * noise.exponential(2, runs)
        made.append(1e6 * scale * shared * np.exp(own) * spikes)
    return made


def test_equal_things_are_rarely_called_different():
    wrong = sum(ratio(*times(seed, 100)).verdict != "no difference" for seed in range(200))
    assert wrong <= 0.10 * 200  # 5 % is what a 95 % interval promises; some for small samples


def test_a_difference_of_a_tenth_is_seen_through_a_drift_of_a_third():
    found = [ratio(*times(seed, 100, factor=0.9)) for seed in range(50)]
    assert sum(one.verdict == "faster" for one in found) >= 45
    assert np.mean([one.value for one in found]) == pytest.approx(0.9, abs=0.01)
    inside = sum(one.low <= 0.9 <= one.high for one in found)
    assert inside >= 43


def test_keeping_rounds_together_beats_comparing_the_series():
    a, b = times(1, 200, drift=0.6)
    paired, loose = ratio(a, b), ratio(a[:-1], b)
    assert paired.high - paired.low < 0.8 * (loose.high - loose.low)


def test_the_other_way_round():
    a, b = times(3, 100, factor=1.2)
    one, other = ratio(a, b), ratio(b, a)
    assert one.verdict == "slower"
    assert other.verdict == "faster"
    assert one.value == pytest.approx(1 / other.value)
    assert ratio(a, b) == one
    assert "slower" in str(one)


def test_too_few_runs():
    few = ratio([2, 2, 2], [1, 1, 1])
    assert (few.value, few.low, few.high, few.verdict) == (2.0, None, None, "too few runs")
    assert str(few) == "2.000 (too few runs)"
