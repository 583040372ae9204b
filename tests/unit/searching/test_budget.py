"""Budgets: who keeps to one, who is best within, who comes nearest."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from edgeopt.errors import ConfigError, InputError
from edgeopt.options import SearchOptions
from edgeopt.searching.budget import Budget, best_of, nearest_to, pareto_front
from edgeopt.searching.configuration import Configuration
from edgeopt.searching.result import SearchResult
from edgeopt.searching.trials import Measured, Trial
from edgeopt.searching.unmet import unmet

FIGURES = [  # score, ms, bytes
    (0.95, 4.0, 4_000_000),
    (0.94, 2.0, 1_000_000),
    (0.90, 1.0, 900_000),
    (0.80, 3.0, 5_000_000),  # beaten in everything
]
TRIALS = tuple(
    Trial(n, Configuration("tflite", "int8", floats=n), Measured(s, size, ms))
    for n, (s, ms, size) in enumerate(FIGURES)
)
FAILED = Trial(9, Configuration("tvm", "int8"), None, "no such kernel")


def result(budget, trials=(*TRIALS, FAILED)):
    return SearchResult("rpi4", budget, trials, best_of(trials, budget), (), "none", "trials", "pi")


def test_the_front_holds_what_nothing_beats():
    assert [t.number for t in pareto_front((*TRIALS, FAILED))] == [0, 1, 2]


def test_trials_that_measured_the_same_are_one_point_of_the_front():
    again = Trial(7, Configuration("tflite", "int8", ranges="mse"), TRIALS[0].measured)
    assert [t.number for t in pareto_front((*TRIALS, again))] == [0, 1, 2]


def test_without_latencies_score_and_size_make_the_front():
    trials = [
        Trial(n, Configuration("a", "int8"), Measured(s, size))
        for n, (s, _, size) in enumerate(FIGURES)
    ]
    assert [t.number for t in pareto_front(trials)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("limits", "best"),
    [
        ({}, 0),
        ({"max_drop": 0.02, "prefer": "latency"}, 1),
        ({"max_drop": 0.02, "prefer": "size"}, 1),
        ({"max_drop": 0.1, "prefer": "latency"}, 2),
        ({"max_latency_ms": 2.0}, 1),
        ({"max_size_mb": 0.9}, 2),
        ({"max_latency_ms": 0.5}, None),
        ({"max_drop": 0.0, "max_latency_ms": 3.0}, None),
    ],
)
def test_the_best_within_a_budget(limits, best):
    found = best_of((*TRIALS, FAILED), Budget(0.95, **limits))
    assert (None if found is None else found.number) == best


def test_flash_and_ram_of_a_microcontroller():
    small = Measured(0.9, 1000, flash_bytes=20 * 1024, ram_bytes=10 * 1024)
    large = Measured(0.95, 1000, flash_bytes=40 * 1024, ram_bytes=30 * 1024)
    trials = [
        Trial(n, Configuration("micro", "int8", floats=n), m) for n, m in enumerate((small, large))
    ]
    assert best_of(trials, Budget(0.95, max_flash_kb=40, max_ram_kb=30)).number == 1
    assert best_of(trials, Budget(0.95, max_flash_kb=39)).number == 0
    assert best_of(trials, Budget(0.95, max_ram_kb=29)).number == 0
    strict = Budget(0.95, max_flash_kb=15, max_ram_kb=8)
    error = unmet(result(strict, trials))
    assert "beyond max_flash_kb 15, max_ram_kb 8" in error.what
    assert "max_flash_kb=20, max_ram_kb=10" in error.hint
    assert "flash 20.0 KiB, RAM 10.0 KiB" in error.what
    assert "max_flash_kb 15, max_ram_kb 8" in str(strict)


def test_what_is_not_known_of_memory_exceeds_nothing():
    assert Budget(0.95, max_ram_kb=1).within(Measured(0.9, 1000))


def test_a_drop_as_large_as_allowed_is_within():
    assert Budget(0.95, max_drop=0.95 - 0.94).within(TRIALS[1].measured)


@pytest.mark.parametrize(
    ("limits", "nearest", "said"),
    [
        ({"max_latency_ms": 0.5}, 2, "max_latency_ms=1"),
        ({"max_drop": 0.0, "max_latency_ms": 1.5}, 1, "max_drop=0.01, max_latency_ms=2"),
        ({"max_size_mb": 0.8}, 2, "max_size_mb=0.9"),
    ],
)
def test_an_unmet_budget_says_the_nearest_and_what_it_needs(limits, nearest, said):
    budget = Budget(0.95, **limits)
    assert nearest_to(TRIALS, budget).number == nearest
    error = unmet(result(budget))
    assert said in error.hint
    assert f"trial {nearest}" in error.what
    assert error.result.nearest.number == nearest


def test_the_budget_that_is_named_is_met_by_the_nearest():
    budget = Budget(0.123456789, max_latency_ms=0.01)
    trial = Trial(0, Configuration("a", "int8"), Measured(0.1, 1, 0.123456))
    hint = unmet(result(budget, (trial,))).hint
    named = float(hint.partition("max_latency_ms=")[2].partition(";")[0])
    assert named >= 0.123456


def test_where_everything_failed_the_reason_is_said():
    error = unmet(result(Budget(1.0), (FAILED,)))
    assert "no such kernel" in str(error)


@pytest.mark.parametrize("name", ["max_drop", "max_latency_ms", "max_size_mb"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", True])
def test_a_wrong_limit_is_named(name, value):
    with pytest.raises(ConfigError) as caught:
        SearchOptions(**{name: value})
    assert caught.value.where == name


def test_a_latency_of_nothing_is_no_limit_but_a_drop_of_nothing_is():
    assert SearchOptions(max_drop=0).max_drop == 0.0
    with pytest.raises(ConfigError, match="above 0"):
        SearchOptions(max_latency_ms=0)


def test_the_table_holds_the_front():
    header, rows = result(Budget(0.95)).table()
    assert header[0] == "trial"
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert rows[1][2:] == ("0.9400", "+0.0100", "2 ms", "976.6 KiB")


@pytest.mark.parametrize("trials", [(*TRIALS, FAILED), TRIALS[:1], (FAILED,)])
@pytest.mark.parametrize("limits", [{}, {"max_drop": 0.01, "max_latency_ms": 9.0}])
def test_the_picture_is_sound(trials, limits):
    tree = ET.fromstring(result(Budget(0.95, **limits), trials).svg())  # noqa: S314 (ours)
    dots = [e for e in tree.iter() if e.tag.endswith("circle")]
    assert len(dots) == sum(t.measured is not None for t in trials)


def test_a_failed_or_unknown_trial_cannot_be_deployed():
    found = result(Budget(0.95))
    with pytest.raises(InputError, match="no such kernel"):
        found._chosen(9)
    with pytest.raises(InputError, match="no trial 77"):
        found._chosen(77)
    with pytest.raises(InputError, match="no trial keeps"):
        result(Budget(0.95, max_latency_ms=0.1))._chosen(None)
