"""A measurement worker with toy templates."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgeopt.options import TuneOptions
from edgeopt.registry import detect_host
from edgeopt.tuning import TuningDatabase
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker
from edgeopt_tvm.tuning.tasks import task_of
from edgeopt_tvm.tuning.templates import Templates
from edgeopt_tvm.tuning.tuner import Tuner

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def toy():
    """Returns the module of toy templates, under the name that workers import it by."""
    if "toy_templates" not in sys.modules:
        spec = importlib.util.spec_from_file_location("toy_templates", HERE / "toy_templates.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["toy_templates"] = module
        spec.loader.exec_module(module)
    return sys.modules["toy_templates"]


@pytest.fixture(scope="session")
def machine():
    return machine_of(detect_host())


@pytest.fixture
def templates(toy):
    return Templates("toy_templates", (str(HERE),))


@pytest.fixture
def task(toy, machine, templates):
    def make(function, name="product", **more):
        return task_of(function, machine, templates, name=name, **more)

    return make


@dataclass
class Scripted:
    """A worker that knows the answers: candidate to share of the default's time, or a failure."""

    points: list[dict[str, Any]]
    answers: dict[str, Any]
    asked: list[str] = field(default_factory=list)

    def open(self, task):
        return {"status": "ok", "seconds": 1.0, "points": self.points}

    def attempt(self, task, config, best):
        from edgeopt_tvm.tuning.search import name_of

        name = name_of(config)
        self.asked.append(name)
        answer, rival = self.answers[name], 1.0 if best == "default" else self.answers[best]
        if isinstance(answer, str):
            return {"status": answer, "detail": "as written"}
        won = answer < 0.985 * rival
        found = {"seconds": answer, "versus": answer / rival}
        return (
            {"status": "ok", "gain": 1 / answer, **found} if won else {"status": "slower", **found}
        )

    def confirm(self, task, configs):
        from edgeopt_tvm.tuning.search import name_of

        gains = [1 / self.answers[name_of(c)] for c in configs]
        found = [{"status": "ok", "gain": g, "seconds": 1 / g} for g in gains]
        return {"status": "ok", "seconds": 1.0, "found": found}


@pytest.fixture
def scripted():
    return Scripted


@pytest.fixture
def tune(machine, templates, tmp_path):
    """Returns a function that tunes tasks into a database, in a real or a scripted worker."""

    def run(tasks, *, trials=6, path=None, worker=None, watch=None, **limits):
        options = TuneOptions(trials=trials, **{"limit_s": 20.0, **limits})
        with TuningDatabase(path or tmp_path / "t.sqlite") as database:
            if worker is not None:
                return Tuner(tasks, worker, database, options, watch=watch).run()
            with MeasurementWorker(machine, templates, options) as real:
                return Tuner(tasks, real, database, options, watch=watch).run()

    return run
