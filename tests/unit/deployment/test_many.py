"""Several devices at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

import edgeopt
from edgeopt.bundles import write_bundle
from edgeopt.deployment.many import profile_many
from edgeopt.devices import LocalDevice
from edgeopt.errors import DeviceError, InputError
from edgeopt.progress import progress_to, report_progress
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target

pytestmark = pytest.mark.slow


@pytest.fixture
def bundle(tmp_path):
    artifact = toy_artifact()
    golden = toy_golden(artifact)
    return write_bundle(artifact, toy_runtime(), toy_target(), path=tmp_path / "b", golden=golden)


class Named(LocalDevice):
    """A device that shares nothing with the others: no lock."""

    hold = None

    def __init__(self, name, meet=None):
        super().__init__()
        self.name = name
        self._meet = meet

    def push(self, local, remote):
        if self._meet is not None:
            self._meet.wait(30)
        super().push(local, remote)


def test_they_run_side_by_side(bundle):
    meet = threading.Barrier(3)  # only broken if all three push at once
    with Named("a", meet) as a, Named("b", meet) as b, Named("c", meet) as c:
        for device in (a, b, c):
            device._meet = meet
        found = profile_many(bundle, [a, b, c], runs=3)
    assert [(one.device, one.ok) for one in found] == [("a", True), ("b", True), ("c", True)]
    assert [one.profile.device for one in found] == ["a", "b", "c"]


def test_who_listens_is_told_of_all_of_them(bundle):
    class Reporting(Named):
        def push(self, local, remote):
            report_progress(f"push to {self.name}", 0, 1)
            super().push(local, remote)

    reports = []
    with (
        Reporting("a") as a,
        Reporting("b") as b,
        progress_to(lambda *report: reports.append((report, threading.current_thread().name))),
    ):
        profile_many(bundle, [a, b], runs=3)
    told = {report for report, _ in reports}
    assert told == {("push to a", 0, 1), ("push to b", 0, 1)}
    assert {name.rpartition("_")[0] for _, name in reports} == {"edgeopt-device"}


def test_one_that_fails_loses_no_other(bundle):
    found = edgeopt.profile_many(bundle.path, ["local", "emulated:sparc", "nowhere"], runs=3)
    assert [one.ok for one in found] == [True, False, False]
    assert found[0].profile.latency_ms > 0
    assert isinstance(found[1].error, DeviceError)
    assert "cannot be emulated" in found[1].to_dict()["error"]
    assert found[0].to_dict()["error"] is None


def test_another_executor_may_run_them(bundle):
    class LocalExecutor:
        """What Ray's or anybody's executor looks like from here."""

        def submit(self, function, *arguments):
            future = Future()
            future.set_result(function(*arguments))
            return future

    (one,) = profile_many(bundle, ["local"], executor=LocalExecutor(), runs=3)
    assert one.ok


def test_processes_may_run_them(bundle):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        good, bad = profile_many(bundle, ["local", "nowhere"], executor=executor, runs=3)
    assert good.profile.latency_ms > 0
    assert (bad.error.where, bad.error.what) == ("device", 'there is no device "nowhere"')


@pytest.mark.parametrize(("devices", "says"), [([], "no device"), (["local", "local"], "twice")])
def test_what_makes_no_sense(bundle, devices, says):
    with pytest.raises(InputError, match=says):
        profile_many(bundle, devices)


def test_a_worker_that_dies_loses_no_other_result(bundle):
    class Half:
        """The second job's process is gone."""

        def submit(self, function, *arguments):
            future = Future()
            if arguments[1] == "gone":
                future.set_exception(RuntimeError("the worker died"))
            else:
                future.set_result(function(*arguments))
            return future

    good, bad = profile_many(bundle, ["local", "gone"], executor=Half(), runs=3)
    assert good.ok
    assert (bad.error.where, bad.ok) == ("gone", False)
    assert "RuntimeError: the worker died" in bad.error.what


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own, at import and at its end
def test_a_ray_cluster_may_run_them(bundle):
    ray = pytest.importorskip("ray")
    good, bad = edgeopt.profile_many(bundle, ["local", "nowhere"], executor="ray", runs=3)
    assert good.profile.latency_ms > 0
    assert good.profile.digest == bundle.digest
    assert (bad.error.where, bad.error.what) == ("device", 'there is no device "nowhere"')
    assert not ray.is_initialized()


def test_an_executor_of_an_unknown_name(bundle):
    with pytest.raises(InputError, match='expected "ray"'):
        profile_many(bundle, ["local"], executor="dask")
