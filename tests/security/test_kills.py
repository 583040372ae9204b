"""Killed runs: a fixed part of what `make kills` does, in a process of its own, as it does it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from kills import shared

KILLS = Path(__file__).with_name("kills.py")


def kills(*words):
    command = [sys.executable, str(KILLS), "--seed", "fixed", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def test_a_killed_run_leaves_the_old_or_the_new_and_one_draft():
    count = 10
    ended = kills("--only", "publish|local", "--count", str(count), "--changes-only")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    made, faults = re.search(r"(\d+) kills, (\d+) faults", ended.stdout).groups()
    assert (int(made), int(faults)) == (count, 0)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 100, 300])
def test_every_kill_is_some_kind_of_runs(count):
    shares = [75, 35, 30, 30, 45, 35, 20, 10, 25]
    parts = shared(count, shares)
    assert sum(parts) == count
    assert all(abs(p - count * s / sum(shares)) < 1 for p, s in zip(parts, shares, strict=True))


BROKEN = """
import sys
sys.path.insert(0, {here!r})
import edgeopt.files.atomic as atomic
import jobs, kills, os, shutil
{change}
sys.argv = ["kills.py", "--seed", "fixed", "--only", "zip", "--count", "6"]
sys.exit(kills.main())
"""
DIRECT = """
from contextlib import contextmanager
import edgeopt.bundles.publish as publish

def direct(path, **_):
    path.unlink(missing_ok=True)
    yield path

publish.replacing = contextmanager(direct)
"""
CHANGES = {
    "nothing is swept": ("atomic.sweep = lambda *_: None", "not swept"),
    "it is written in place": (
        DIRECT,
        "what was left",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHANGES)
def test_the_campaign_sees(kind):
    change, said = CHANGES[kind]
    code = BROKEN.format(here=str(KILLS.parent), change=change)
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert said in ended.stdout
