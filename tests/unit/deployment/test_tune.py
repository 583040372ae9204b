"""Tuning on the way to a bundle: what is asked for, who does it, and what the compiler gets of it."""

from __future__ import annotations

import json
import re

import pytest
import torch

import edgeopt
from edgeopt.contracts import TunesKernels
from edgeopt.deployment.request import Request
from edgeopt.deployment.tune import with_tuning_backend
from edgeopt.deployment.tune_model import tune_model
from edgeopt.errors import ConfigError, InputError, TargetError
from edgeopt.options import TuneOptions
from edgeopt.registry import find_backend, find_target
from edgeopt.testing.specimens import specimen

RESIDUAL = specimen("residual")
DATA = RESIDUAL.samples


def tuning(folder, trials=0):
    return TuneOptions(trials=trials, database=str(folder / "t"))


def deploy(target="host", **options):
    wanted = {"backend": "tuning", "calibration_data": DATA, "checks": {"speed": False}, **options}
    return edgeopt.deploy(RESIDUAL.model, target, example_inputs=DATA[0], **wanted)


@pytest.mark.parametrize("given", [{"trials": 3}, {"minutes": 2.0}, TuneOptions(trials=3)])
def test_a_budget_of_trials_or_minutes_is_what_makes_it_tune(given):
    assert Request(tuning=given).tuning.active
    assert not Request().tuning.active
    assert not Request(tuning={"database": "a.sqlite"}).tuning.active


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"trials": -1}, "tuning.trials: expected a whole number of 0 or more, got -1"),
        ({"minutes": -2.0}, "tuning.minutes: expected a number of 0 or more, got -2.0"),
        ({"seed": 3}, "tuning.trials: seed but no budget"),
        ({"trials": 3, "database": "none"}, "tuning.database: tuning needs a database"),
        (True, "tuning: expected a table, got true"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(given, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        Request(tuning=given)


def test_the_accepted_program_is_tuned_and_compiled_with_what_was_found(backends, tmp_path):
    backends("tuning")
    done = deploy(tuning=tuning(tmp_path, 5), output=tmp_path / "bundle")
    assert (tmp_path / "t").read_text() == "int8 5 0.0"
    assert done.operators == {"tuned with int8 5 0.0": 1}
    assert done.tuning.trials == 5
    assert done.parity.ok
    assert "2.00 times as fast" in str(done)
    assert "dropped: 1 wrong" in str(done)
    assert json.loads(json.dumps(done.to_dict()))["tuning"]["kernels"][0]["name"] == "dense"


def test_a_comparison_with_float_says_that_float_was_not_tuned(backends, tmp_path):
    backends("tuning")
    done = deploy(tuning=tuning(tmp_path, 5), checks={"speed": True})
    assert "not for float32" in str(done.speed)
    plain = deploy(precision="int8", tuning=tuning(tmp_path), checks={"speed": True})
    assert "not for float32" not in str(plain.speed)


def test_a_database_is_used_without_tuning(backends, tmp_path):
    backends("tuning")
    (tmp_path / "t").write_text("older trials")
    done = deploy(tuning=tuning(tmp_path))
    assert done.operators == {"tuned with older trials": 1}
    assert done.tuning is None


def test_auto_takes_a_backend_that_tunes(backends):
    backends("tuning", "fine")
    found = with_tuning_backend(Request(tuning={"trials": 1}), find_target("host")).backend
    assert isinstance(find_backend(found), TunesKernels)
    assert with_tuning_backend(Request(), find_target("host")).backend == "auto"


def test_a_database_that_tuning_will_make_need_not_be_there(tmp_path):
    path = tmp_path / "t.sqlite"
    tuned, used = TuneOptions(trials=1, database=str(path)), TuneOptions(database=str(path))
    assert Request(tuning=tuned).compiling.tuning_database == "none"
    assert Request(tuning=used).compiling.tuning_database == str(path)
    path.touch()
    assert Request(tuning=tuned).compiling.tuning_database == str(path)


def test_a_backend_that_does_not_tune_is_refused_before_any_work(backends):
    backends("tuning", "fine")
    with pytest.raises(InputError, match="fine does not tune") as caught:
        deploy(backend="fine", tuning={"trials": 1})
    assert "tuning" in caught.value.hint


def test_a_target_that_cannot_be_measured_is_refused_before_any_work(backends):
    backends("tuning")
    with pytest.raises(TargetError, match="cannot be measured here"):
        deploy("rpi4", tuning={"trials": 1})


def test_an_interrupt_stops_the_deployment(backends, tmp_path):
    backends("tuning")
    with pytest.raises(KeyboardInterrupt):
        deploy(tuning=TuneOptions(trials=1, seed=99, database=str(tmp_path / "t")))


def test_a_model_can_be_tuned_alone(backends, tmp_path):
    backends("tuning")
    events = []
    request = Request(
        calibration_data=DATA,
        example_inputs=DATA[0],
        backend="tuning",
        tuning=TuneOptions(trials=4, database=str(tmp_path / "t")),
        watch=events.append,
    )
    report = tune_model(RESIDUAL.model, "host", request)
    assert report.best_ms == 2.0
    assert report.default_ms == 4.0
    assert events[0].trial == 1
    assert (tmp_path / "t").read_text().startswith("int8 4")
    assert torch.is_grad_enabled()
