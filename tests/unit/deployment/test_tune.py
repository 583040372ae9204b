"""Tuning on the way to a bundle: what is asked for, who does it, and what the compiler gets of it."""

from __future__ import annotations

import json

import pytest
import torch

import edgeopt
from edgeopt.contracts import TuneOptions, TunesKernels
from edgeopt.deployment.request import USUAL_TRIALS, Request
from edgeopt.deployment.tune import with_tuning_backend
from edgeopt.deployment.tune_model import tune_model
from edgeopt.errors import InputError, TargetError
from edgeopt.registry import find_backend, find_target
from edgeopt.testing.specimens import specimen

RESIDUAL = specimen("residual")
DATA = RESIDUAL.samples


def deploy(target="host", **options):
    wanted = {"backend": "tuning", "calibration_data": DATA, "check_speed": False, **options}
    return edgeopt.deploy(RESIDUAL.model, target, example_inputs=DATA[0], **wanted)


@pytest.mark.parametrize(
    ("given", "trials", "minutes"),
    [
        (True, USUAL_TRIALS, 0.0),
        (7, 7, 0.0),
        (TuneOptions(minutes=2.0), 0, 2.0),
        (TuneOptions(trials=3), 3, 0.0),
    ],
)
def test_how_long_to_tune_can_be_said_in_three_ways(given, trials, minutes):
    found = Request(tune=given, tuning_database="a.sqlite").tuning
    assert (found.trials, found.minutes, found.database) == (trials, minutes, "a.sqlite")


@pytest.mark.parametrize("given", [None, False])
def test_nothing_is_tuned_unasked(given):
    assert Request(tune=given).tuning is None


@pytest.mark.parametrize("given", [0, -1, TuneOptions(), TuneOptions(minutes=-2.0)])
def test_a_budget_of_nothing_is_refused(given):
    with pytest.raises(InputError, match="trials or minutes above 0"):
        Request(tune=given).check()


def test_tuning_without_a_database_is_refused():
    with pytest.raises(InputError, match="needs a database"):
        Request(tune=3, tuning_database="none").check()


def test_the_accepted_program_is_tuned_and_compiled_with_what_was_found(backends, tmp_path):
    backends("tuning")
    done = deploy(tune=5, tuning_database=str(tmp_path / "t"), output=tmp_path / "bundle")
    assert (tmp_path / "t").read_text() == "int8 5 0.0"
    assert done.operators == {"tuned with int8 5 0.0": 1}
    assert done.tuning.trials == 5
    assert done.parity.ok
    assert "2.00 times as fast" in str(done)
    assert "dropped: 1 wrong" in str(done)
    assert json.loads(json.dumps(done.to_dict()))["tuning"]["kernels"][0]["name"] == "dense"


def test_a_comparison_with_float_says_that_float_was_not_tuned(backends, tmp_path):
    backends("tuning")
    done = deploy(tune=5, tuning_database=str(tmp_path / "t"), check_speed=True)
    assert "not for float32" in str(done.speed)
    plain = deploy(tuning_database=str(tmp_path / "t"), check_speed=True)
    assert "not for float32" not in str(plain.speed)


def test_a_database_is_used_without_tuning(backends, tmp_path):
    backends("tuning")
    (tmp_path / "t").write_text("older trials")
    done = deploy(tuning_database=str(tmp_path / "t"))
    assert done.operators == {"tuned with older trials": 1}
    assert done.tuning is None


def test_auto_takes_a_backend_that_tunes(backends):
    backends("tuning", "fine")
    found = with_tuning_backend(Request(tune=1), find_target("host")).backend
    assert isinstance(find_backend(found), TunesKernels)
    assert with_tuning_backend(Request(), find_target("host")).backend == "auto"


def test_a_database_that_tuning_will_make_need_not_be_there(tmp_path):
    path = tmp_path / "t.sqlite"
    assert Request(tune=1, tuning_database=str(path)).compile_options.tuning_database == "none"
    assert Request(tuning_database=str(path)).compile_options.tuning_database == str(path)
    path.touch()
    found = Request(tune=1, tuning_database=str(path)).compile_options
    assert found.tuning_database == str(path)


def test_a_backend_that_does_not_tune_is_refused_before_any_work(backends):
    backends("tuning", "fine")
    with pytest.raises(InputError, match="fine does not tune") as caught:
        deploy(backend="fine", tune=1)
    assert "tuning" in caught.value.hint


def test_a_target_that_cannot_be_measured_is_refused_before_any_work(backends):
    backends("tuning")
    with pytest.raises(TargetError, match="cannot be measured here"):
        deploy("rpi4", tune=1)


def test_an_interrupt_stops_the_deployment(backends, tmp_path):
    backends("tuning")
    with pytest.raises(KeyboardInterrupt):
        deploy(tune=TuneOptions(trials=1, seed=99, database=str(tmp_path / "t")))


def test_a_model_can_be_tuned_alone(backends, tmp_path):
    backends("tuning")
    events = []
    request = Request(
        calibration_data=DATA,
        example_inputs=DATA[0],
        backend="tuning",
        tune=TuneOptions(trials=4, database=str(tmp_path / "t")),
        watch=events.append,
    )
    report = tune_model(RESIDUAL.model, "host", request)
    assert report.best_ms == 2.0
    assert report.default_ms == 4.0
    assert events[0].trial == 1
    assert (tmp_path / "t").read_text().startswith("int8 4")
    assert torch.is_grad_enabled()
