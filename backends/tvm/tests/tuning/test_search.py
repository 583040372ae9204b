"""The search: no candidate twice, the best found early, the same again with the same seed."""

from __future__ import annotations

import math

import pytest

from edgeopt.errors import InputError
from edgeopt.options import TuneOptions
from edgeopt_tvm.tuning.search import Search, name_of
from edgeopt_tvm.tuning.tuner import check_options

POINTS = [
    {"rows": r, "columns": c, "unroll": u, "first": f}
    for r in (1, 2, 4, 8, 16)
    for c in (1, 2, 4, 8)
    for u in (1, 4)
    for f in (True, False)
]


def cost(p):
    tile = math.log2(p["rows"] * p["columns"])
    return 0.5 + 0.1 * (tile - 4) ** 2 + 0.05 * (p["unroll"] == 1) + 0.1 * p["first"]


ANSWERS = {name_of(p): cost(p) / cost(POINTS[0]) for p in POINTS}


def tried(seed, count):
    search = Search(POINTS, str(seed))
    search.learn_default()
    found = []
    while len(found) < count and (config := search.propose()) is not None:
        found.append(name_of(config))
        search.learn(found[-1], ANSWERS[found[-1]])
    return found


def test_every_candidate_once_and_then_none():
    found = tried(0, 1000)
    assert len(found) == len(POINTS) - 1
    assert len(set(found)) == len(found)


def test_the_same_seed_gives_the_same_candidates_and_another_one_others():
    assert tried(7, 30) == tried(7, 30)
    assert tried(7, 30) != tried(8, 30)


def test_it_finds_the_best_of_80_within_20_trials():
    best = min(ANSWERS.values())
    for seed in range(10):
        assert min(ANSWERS[n] for n in tried(seed, 20)) <= 1.05 * best


def test_candidates_that_fail_are_learnt_from():
    search = Search(POINTS, "0")
    search.learn_default()
    count = 0
    for _ in range(25):
        config = search.propose()
        bad = config["rows"] == 16
        count += bad
        search.learn(name_of(config), None if bad else ANSWERS[name_of(config)])
    assert count <= 8


def test_a_name_from_elsewhere_is_passed_over():
    search = Search(POINTS, "0")
    search.learn('{"rows": 3}', 0.1)
    assert search.left == len(POINTS)


def test_a_scripted_run_is_reproducible(task, toy, scripted, tune, tmp_path):
    every = [
        _scripted_run(task, toy, scripted, tune, tmp_path / f"{i}.sqlite", seed)
        for i, seed in enumerate((1, 1, 2))
    ]
    assert every[0] == every[1]
    assert every[0] != every[2]


def _scripted_run(task, toy, scripted, tune, path, seed):
    shop = scripted(POINTS, ANSWERS)
    report = tune([task(toy.product())], trials=25, path=path, worker=shop, seed=seed)
    best = min(ANSWERS[n] for n in shop.asked)
    assert report.best_ms == pytest.approx(1e3 * best)
    return shop.asked


def test_time_goes_where_time_is(task, toy, scripted, tune):
    shop = scripted(POINTS, ANSWERS)
    small, large = task(toy.product(8), "small"), task(toy.product(16), "large", count=20)
    report = tune([small, large], trials=40, worker=shop)
    trials = {k.name: k.trials for k in report.kernels}
    assert trials["small"] >= 6
    assert trials["large"] > 2 * trials["small"]


def test_events_say_how_far_it_is(task, toy, scripted, tune):
    events = []
    tune([task(toy.product())], trials=10, worker=scripted(POINTS, ANSWERS), watch=events.append)
    assert [e.trial for e in events] == list(range(1, 11))
    assert all(e.trials == 10 for e in events)
    bests = [e.best_ms for e in events]
    assert bests == sorted(bests, reverse=True)
    assert events[-1].left_s == 0


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(InputError, match="no budget"):
        check_options(TuneOptions())
