"""Tuning on a device: a device that goes away, and TVM's RPC on an emulated one."""

from __future__ import annotations

import pytest

from edgeopt.devices import EmulatedDevice
from edgeopt.errors import DeviceError, TargetError
from edgeopt.options import TuneOptions
from edgeopt.registry import find_target
from edgeopt.testing.scripted_device import ScriptedDevice
from edgeopt.tuning import TuningDatabase, open_database
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.tuning.lookup import best
from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker
from edgeopt_tvm.tuning.remote import serving
from edgeopt_tvm.tuning.run import check_measurable
from edgeopt_tvm.tuning.search import name_of
from edgeopt_tvm.tuning.tasks import task_of
from edgeopt_tvm.tuning.tuner import LOST, Tuner

POINTS = [{"n": n} for n in range(1, 13)]
ANSWERS = {name_of(p): 1 / p["n"] for p in POINTS}
LOST_ANSWER = {"status": "lost", "detail": "the device went away"}


@pytest.fixture
def away(scripted):
    """Returns a function: a worker whose device is away for these trials."""

    def make(*trials):
        shop = scripted(POINTS, ANSWERS)
        real, count = shop.attempt, iter(range(1000))
        shop.attempt = lambda *args: dict(LOST_ANSWER) if next(count) in trials else real(*args)
        return shop

    return make


def run(shop, task, path, trials=8):
    with TuningDatabase(path) as database:
        options = TuneOptions(trials=trials)
        return Tuner([task], shop, database, options, pause_s=0.0).run()


def test_a_device_that_was_away_costs_trials_and_not_the_run(away, task, toy, tmp_path):
    report = run(away(1, 2, 5), task(toy.product()), tmp_path / "t.sqlite")
    assert report.stopped == "trials"
    assert report.failures == {"lost": 3}
    with open_database(tmp_path / "t.sqlite") as database:
        assert len(database) == 8 - 3 + 1  # what said nothing of its candidate is not kept


def test_a_device_that_stays_away_ends_the_run_and_the_rest_is_kept(away, task, toy, tmp_path):
    path = tmp_path / "t.sqlite"
    report = run(away(*range(3, 100)), task(toy.product()), path, trials=50)
    assert report.stopped == "device"
    assert report.failures == {"lost": LOST}
    assert "went away" in report.notes[0]
    assert run(away(), task(toy.product()), path, trials=50).known == 3


def test_another_machine_is_measured_on_its_device_only():
    target = find_target("rpi4")
    with pytest.raises(TargetError, match="cannot be measured"):
        check_measurable(target)
    check_measurable(target, "emulated")


def test_a_transport_without_a_tunnel_is_refused():
    device = ScriptedDevice()
    assert not hasattr(device, "forward")
    with pytest.raises(DeviceError, match="no tunnel"), serving(device):
        pass


@pytest.mark.qemu
@pytest.mark.slow
def test_the_mechanism_on_an_emulated_device(toy, templates, tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_BAD", "lie")
    target = find_target("rpi4")
    machine = machine_of(target)
    function = toy.product(8, 16, 16)
    options = TuneOptions(trials=3, limit_s=120.0)
    path = tmp_path / "t.sqlite"
    with EmulatedDevice("aarch64", "cortex-a72") as device, serving(device) as place:
        assert place.host == "127.0.0.1"
        task = task_of(function, machine, templates, device=device.name)
        with MeasurementWorker(machine, templates, options, place) as shop:
            wrong = shop.attempt(task, {"rows": 1, "columns": 16, "do": "lie"}, "default")
            assert wrong["status"] == "wrong", wrong
            with TuningDatabase(path) as database:
                report = Tuner([task], shop, database, options).run()
    assert report.trials == 3
    assert report.failures == {}, report
    with TuningDatabase(path) as database:
        assert all("emulated" in r.key.machine for r in database.records())
        assert best(function, machine, database, templates) is None
