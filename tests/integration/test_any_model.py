"""The zoo of `make any-model`: a fixed few models, of packages that are installed, are right or refused in our words."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

FOLDER = str(Path(__file__).parents[2] / "benchmarks")
QUICK = "OwnYolo|VAE|CRNN|WritesInPlace|CachedMask|ReturnsDataclass|RandomDepth|/Bert.*Seq"


@pytest.fixture
def zoo(monkeypatch):
    """The package of the benchmark, on the path that the command has."""
    monkeypatch.syspath_prepend(FOLDER)
    from _any_model import examine, worker, zoo

    return SimpleNamespace(examine=examine, worker=worker, zoo=zoo)


@pytest.mark.parametrize("backend", ["tflite", "openvino"])
def test_a_fixed_few_are_right_or_refused_with_what_to_write(zoo, backend):
    entries = zoo.zoo.chosen(("own", "transformers"), QUICK)
    wanted = zoo.examine.places([backend], ["float32"])
    rows = [row for e in entries for row in zoo.examine.examine(e, wanted, lambda _: None)]
    assert {row.model for row in rows} == {entry.name for entry in entries}
    assert {row.kind for row in rows} <= {"right", "refused"}
    assert all(row.hint for row in rows if row.kind == "refused")


def test_what_no_schedule_takes_is_compiled_as_it_is(zoo):
    pytest.importorskip("edgeopt_tvm")
    (entry,) = zoo.zoo.chosen(("own",), "ClickThrough")
    rows = zoo.examine.examine(entry, zoo.examine.places(["tvm"], ["float32"]), lambda _: None)
    assert {row.kind for row in rows} == {"right"}


def test_every_model_has_a_name_of_its_own(zoo):
    names = [entry.name for entry in zoo.zoo.chosen(("own", "transformers"))]
    assert len(set(names)) == len(names) > 200


class Broken(torch.nn.Module):
    def __init__(self, forward):
        super().__init__()
        self._forward = forward

    def forward(self, x):
        return self._forward(x)


def entry(zoo, forward, make=None):
    from _any_model.entry import Entry, noise, sampled

    return Entry("own/broken", "own", make or (lambda: Broken(forward)), sampled(noise(1, 4)))


def test_what_is_not_ours_is_a_fault_and_nothing_follows(zoo):
    def make():
        raise KeyError("no such thing")

    (row,) = zoo.examine.examine(entry(zoo, None, make), zoo.examine.places([], ["float32"]), print)
    assert (row.kind, row.error, row.place.stage) == ("fault", "KeyError", "built")


def test_what_computes_something_else_is_wrong(zoo, monkeypatch):
    from edgeopt.ir import ReferenceRunner

    real = ReferenceRunner.__call__
    monkeypatch.setattr(ReferenceRunner, "__call__", lambda self, *x: real(self, *x) + 0.1)
    rows = list(
        zoo.examine.examine(entry(zoo, torch.sin), zoo.examine.places([], ["float32"]), print)
    )
    assert [row.kind for row in rows] == ["right", "wrong"]


def test_what_hangs_or_dies_is_killed_and_what_is_left_goes_on(zoo, monkeypatch):
    hanging = entry(zoo, lambda x: time.sleep(60) or x)
    limits = zoo.worker.Limits(seconds=1.0)
    (row,) = zoo.worker.examine_isolated(hanging, zoo.examine.places([], ["float32"]), limits)
    assert (row.kind, row.what) == ("killed", "more than 1 s")
    assert row.place.stage == "built"

    dying = entry(zoo, lambda x: os.kill(os.getpid(), signal.SIGKILL))
    (row,) = zoo.worker.examine_isolated(dying, zoo.examine.places([], ["float32"]), limits)
    assert (row.kind, row.what) == ("killed", "SIGKILL")


def test_reasons_are_the_same_where_only_names_and_numbers_differ(zoo):
    from _any_model.failures import reason

    def row(operator, what=""):
        operators = (operator,) if operator else ()
        place = zoo.examine.Place("captured")
        return zoo.examine.Row("own/a", place, "refused", "E", what, operators=operators)

    a = row("aten.roll.default at model.py:3: takes 3 axes")
    b = row("aten.roll.default at other.py:41: takes 2 axes")
    assert reason(a) == reason(b) == "E: aten.roll.default: takes N axes"
    assert reason(row("", "size 3 at dim 1")) == reason(row("", "size 41 at dim 2"))
