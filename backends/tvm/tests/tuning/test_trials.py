"""Candidates, built and measured for real: the good ones, and those that misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeopt.options import TuneOptions
from edgeopt.tuning import open_database
from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker

pytestmark = pytest.mark.slow

GOOD = {"rows": 4, "columns": 16}


@pytest.fixture
def bench(toy, task, machine, templates, monkeypatch):
    """Returns a worker that is open on one kernel, and its task."""
    monkeypatch.setenv("TOY_BAD", "raise,abort,hang,hoard,lie")
    made = task(toy.product())
    with MeasurementWorker(
        machine, templates, TuneOptions(trials=1, limit_s=4.0, memory_mb=2048)
    ) as shop:
        found = shop.open(made)
        assert found["status"] == "ok", found
        yield shop, made


@pytest.mark.parametrize(
    ("what", "status", "told"),
    [
        ("raise", "invalid", "cannot be made"),
        ("abort", "crashed", "signal 6"),
        ("hang", "hung", "longer than 4 s"),
        ("hoard", "invalid", "memory"),
        ("lie", "wrong", "elements"),
    ],
)
def test_a_candidate_that_misbehaves_costs_one_trial(bench, what, status, told):
    shop, task = bench
    result = shop.attempt(task, {"rows": 1, "columns": 16, "do": what}, "default")
    assert result["status"] == status, result
    assert told in result["detail"].lower()
    after = shop.attempt(task, GOOD, "default")
    assert after["status"] in ("ok", "slower"), after
    assert after["seconds"] > 0


def test_every_failure_is_recorded_and_counted_and_none_is_best(
    toy, task, tune, tmp_path, monkeypatch
):
    monkeypatch.setenv("TOY_BAD", "raise,abort,lie")
    seen = []
    report = tune([task(toy.product())], trials=40, watch=seen.append)
    assert report.failures == {"crashed": 1, "invalid": 1, "wrong": 1}
    assert report.stopped == "exhausted"
    assert report.trials == len(toy.GOOD) - 1 + 3  # the first is the default
    assert seen[-1].failed == 2
    assert seen[-1].wrong == 1
    with open_database(tmp_path / "t.sqlite") as database:
        records = list(database.records())
    assert sorted(r.status for r in records if r.status not in ("ok", "slower")) == [
        "crashed",
        "invalid",
        "wrong",
    ]
    assert len(records) == report.trials + 1
    assert all("do" not in r.choices for r in records if r.status in ("ok", "slower"))


def test_a_run_goes_on_where_it_stopped(toy, task, tune):
    first = tune([task(toy.product())], trials=5)
    second = tune([task(toy.product())], trials=100)
    assert (first.trials, second.known) == (5, 5)
    assert second.trials == len(toy.GOOD) - 1 - 5
    assert second.kernels[0].exhausted
    third = tune([task(toy.product())], trials=100)
    assert third.trials == 0


def test_floats_need_not_be_equal_to_the_last_bit(toy, task, tune):
    report = tune([task(toy.float_product())], trials=8)
    assert report.failures == {}
    assert report.trials == 8


def test_two_tunings_into_one_database(toy, task, tune, machine, templates, tmp_path):
    path = tmp_path / "t.sqlite"
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[2])\n"
        "import toy_templates as toy\n"
        "from edgeopt.options import TuneOptions\n"
        "from edgeopt.registry import detect_host\n"
        "from edgeopt.tuning import TuningDatabase\n"
        "from edgeopt_tvm.machine import machine_of\n"
        "from edgeopt_tvm.tuning.tasks import task_of\n"
        "from edgeopt_tvm.tuning.templates import Templates\n"
        "from edgeopt_tvm.tuning.tuner import Tuner\n"
        "from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker\n"
        "machine, templates = machine_of(detect_host()), Templates('toy_templates', (sys.argv[2],))\n"
        "options = TuneOptions(trials=int(sys.argv[4]))\n"
        "task = task_of(toy.product(int(sys.argv[3])), machine, templates)\n"
        "with TuningDatabase(pathlib.Path(sys.argv[1])) as database:\n"
        "    with MeasurementWorker(machine, templates, options) as shop:\n"
        "        Tuner([task], shop, database, options).run()\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    command = [sys.executable, str(script), str(path), templates.paths[0]]
    both = [subprocess.Popen([*command, rows, "4"]) for rows in ("16", "48")]
    assert [process.wait(120) for process in both] == [0, 0]
    with open_database(path) as database:
        found = {r.key.workload for r in database.records()}
        assert len(found) == 2
        assert len(database) == 2 * (4 + 1)
    killed = subprocess.Popen([*command, "64", "1000"])
    deadline = time.monotonic() + 120
    while len(_trials(path)) < 13:
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(30)
    report = tune([task(toy.product(64))], trials=1000, path=path)
    assert report.known >= 2
    assert report.known + report.trials == len(toy.GOOD) - 1


def _trials(path):
    with open_database(path) as database:
        return list(database.records())


def test_an_interrupt_keeps_what_was_tried(toy, task, tune, tmp_path):
    def stop(event):
        if event.trial == 3:
            raise KeyboardInterrupt

    report = tune([task(toy.product())], trials=10, watch=stop)
    assert report.stopped == "interrupted"
    assert report.trials == 3
    assert len(_trials(tmp_path / "t.sqlite")) == 3 + 1


def test_a_worker_does_not_outlive_the_one_that_started_it(templates, machine, tmp_path):
    code = (
        "import sys, time\n"
        "from edgeopt.options import TuneOptions\n"
        "from edgeopt.registry import detect_host\n"
        "from edgeopt_tvm.machine import machine_of\n"
        "from edgeopt_tvm.tuning.templates import Templates\n"
        "from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker\n"
        "shop = MeasurementWorker(machine_of(detect_host()), Templates('toy_templates', (sys.argv[1],)),"
        " TuneOptions(trials=1))\n"
        "shop._start(); print(shop._process.pid, flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, templates.paths[0]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    os.kill(worker, 0)
    process.kill()
    process.wait(30)
    process.stdout.close()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if _is_zombie(worker):
            return
        time.sleep(0.05)
    pytest.fail("the worker still runs")


def _is_zombie(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
