"""Damaged input for every reader: a fixed part of what `make fuzz` tries."""

from __future__ import annotations

import os

import pytest
from fuzz import campaign

from targets import targets

SEED, COUNT = "fixed", 60


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    before = os.environ.get("XDG_CONFIG_HOME")
    yield {target.name: target for target in targets(tmp_path_factory.mktemp("readers"))}
    if before is None:
        del os.environ["XDG_CONFIG_HOME"]
    else:
        os.environ["XDG_CONFIG_HOME"] = before


def test_no_reader_raises_hangs_or_grows(every):
    found = [campaign(target, seed=SEED, count=COUNT) for target in every.values()]
    assert {one.name: list(one.faults) for one in found if one.faults} == {}
    assert all(one.tried == COUNT for one in found)


def test_a_raw_error_a_hang_and_growth_are_seen(every, monkeypatch):
    """That the campaign can fail."""
    import dataclasses
    import time

    import fuzz

    monkeypatch.setattr(fuzz, "LIMIT_S", 1)
    good = every["target"]
    honest = good.honest

    def bad(content):
        if content != honest:
            raise KeyError("x")

    def slow(content):
        if content != honest:
            time.sleep(3)

    for read, says in ((bad, "KeyError"), (slow, "longer than")):
        found = campaign(dataclasses.replace(good, read=read), seed=SEED, count=3)
        assert next(iter(found.faults)).startswith(says)
