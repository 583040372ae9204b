"""`edgeopt search`."""

from __future__ import annotations

import json

import pytest

from edgeopt.cli.searching import _said
from edgeopt.searching import Configuration, SearchEvent, Trial
from edgeopt.searching.trials import Measured

pytestmark = pytest.mark.slow

WORDS = ("search", "toy_models:make", "-t", "rpi4", "-b", "tflite", "--study", "s.sqlite")


def test_it_searches_draws_deploys_and_goes_on(edgeopt, folder):
    wanted = (*WORDS, "--trials", "2", "--max-drop", "0.9")
    done = edgeopt(*wanted, "-o", "best", "--picture", "front.svg")
    assert done.returncode == 0, done.stderr
    for part in ("best", "2 trials, 2 of this run", "latency is no objective", "configuration"):
        assert part in done.stdout
    assert (folder / "best" / "manifest.json").exists()
    assert (folder / "front.svg").read_text().startswith("<svg")
    again = json.loads(edgeopt(*wanted, "--json").stdout)
    assert again["new"] == 0
    assert len(again["trials"]) == 2


def test_a_budget_that_cannot_be_met(edgeopt, folder):
    wanted = (*WORDS, "--trials", "1", "--max-size-mb", "0.0001", "--picture", "front.svg")
    done = edgeopt(*wanted, "--json")
    assert done.returncode == 1
    assert "the nearest is tflite int8" in done.stderr
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "BudgetError"
    assert error["search"]["nearest"] == 0
    assert (folder / "front.svg").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--trials", "0"), "above 0"),
        (("--prefer", "scor"), "score"),
        (("-p", "int9"), "int8"),
        (("--max-latency-ms", "3"), "no latency can be measured"),
        (("--prune", "2"), "--prune: expected shares from 0 to below 1, got 2.0"),
        (("-s", "colour=1"), "--set.colour: expected one of the fields"),
    ],
)
def test_wrong_options(edgeopt, words, said):
    done = edgeopt(*WORDS, *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_what_lies_at_output_is_kept(edgeopt, folder):
    (folder / "best").mkdir()
    done = edgeopt(*WORDS, "--trials", "1", "-o", "best")
    assert done.returncode == 2
    assert "lies there already" in done.stderr
    assert not (folder / "s.sqlite").exists()


def test_the_bar_says_trials_best_and_time_left():
    best = Trial(3, Configuration("tflite", "int8"), Measured(0.9, 1_500_000, 2.5))
    event = SearchEvent(4, 40, best, best, 75.0, failed=1)
    said = "search: trial 4 of 40, best 0.9000, 2.5 ms, 1.5 MB, 1:15 left, 1 failed"
    assert _said(event) == said
    none = SearchEvent(4, 0, best, None, 5.0)
    assert _said(none) == "search: trial 4, none within the budget yet, 0:05 left"
