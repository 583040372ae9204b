"""`edgeopt tune` and `edgeopt tuning`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgeopt.cli.show import _Bars, _said, tuning_bars
from edgeopt.contracts import TuningEvent
from edgeopt.progress import progress_listener, report_progress
from edgeopt.tuning import Key, Record, TuningDatabase

KEY = Key("toy", '{"arch":"x86_64","cores":2,"mcpu":"znver4"}', "toy 1", "a" * 32)


def fill(path, *numbers, status="ok", created=5):
    with TuningDatabase(path) as database:
        database.add(
            [
                Record(KEY, json.dumps({"n": n}), status, 1e-3, 1 + n / 10, "dense", "", created)
                for n in numbers
            ]
        )


def test_a_backend_that_does_not_tune(edgeopt):
    done = edgeopt("tune", "toy_models:make", "-b", "reference", "--trials", "2")
    assert done.returncode == 2
    assert "reference does not tune" in done.stderr


@pytest.mark.parametrize("words", [("--trials", "-3"), ("--minutes", "-1")])
def test_a_wrong_budget(edgeopt, words):
    done = edgeopt("tune", "toy_models:make", *words)
    assert done.returncode == 2
    assert f"{words[0]}: expected a" in done.stderr


def test_list_export_merge(edgeopt, folder):
    fill(folder / "a.sqlite", 1, 2)
    fill(folder / "b.sqlite", 2, 3)
    assert edgeopt("tuning", "export", "a.jsonl", "--database", "a.sqlite").returncode == 0
    done = edgeopt("tuning", "merge", "a.jsonl", "--database", "b.sqlite")
    assert done.returncode == 0, done.stderr
    listed = json.loads(edgeopt("tuning", "list", "--database", "b.sqlite", "--json").stdout)
    assert listed == [
        {
            "kernel": "dense",
            "workload": "a" * 12,
            "trials": 3,
            "times as fast": "1.30",
            "ms": "1.0000",
            "machine": "znver4, 2 cores",
            "version": "toy 1",
        }
    ]
    assert "znver4" in edgeopt("tuning", "list", "--database", "b.sqlite").stdout


def test_merging_is_all_or_nothing(edgeopt, folder):
    fill(folder / "a.sqlite", 1)
    (folder / "bad.jsonl").write_text("not an export\n")
    done = edgeopt("tuning", "merge", "a.sqlite", "bad.jsonl", "--database", "new.sqlite")
    assert done.returncode == 2
    assert "neither a tuning database nor an export" in done.stderr
    assert not Path("new.sqlite").exists()


@pytest.mark.parametrize("command", [("list",), ("export", "x.jsonl")])
def test_no_database(edgeopt, folder, command):
    done = edgeopt("tuning", *command, "--database", "missing.sqlite")
    assert done.returncode == 2
    assert "there is no tuning database" in done.stderr


def test_a_foreign_database(edgeopt, folder):
    (folder / "photo.sqlite").write_bytes(b"JFIF" * 100)
    done = edgeopt("tuning", "list", "--database", "photo.sqlite", "--json")
    assert done.returncode == 2
    assert "no tuning database" in json.loads(done.stdout)["error"]["what"]


def test_what_the_bar_says():
    said = _said(TuningEvent(3, 20, "dense", 2.0, 3.0, 75.4, failed=1, wrong=1))
    assert said == "tune: trial 3 of 20, best 2.000 ms (1.50 times as fast), 1:15 left, 2 dropped"
    assert _said(TuningEvent(3, 0, "dense", 2.0, 2.0, 5)).startswith("tune: trial 3, best")


def test_a_bar_shows_it():
    from rich.progress import Progress

    with Progress(disable=True) as held:
        bars = _Bars(held)
        bars.describe("tune", "too early")
        bars("tune", 0.5, 1.0)
        bars.describe("tune", "trial 3 of 20")
        assert [(t.description, t.completed) for t in held.tasks] == [("trial 3 of 20", 0.5)]


def test_bars_listen_within_their_block(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with tuning_bars() as watch:
        report_progress("tune", 0, 1)
        watch(TuningEvent(3, 20, "dense", 2.0, 3.0, 75.4))
        (task,) = progress_listener()._bars.tasks
        assert task.description.startswith("tune: trial 3 of 20")
    assert progress_listener() is None


def test_nothing_listens_where_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with tuning_bars(quiet=True) as watch:
        assert (watch, progress_listener()) == (None, None)
