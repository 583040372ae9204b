"""Runs of edgeopt that `kills.py` kills: each leaves something on disk that the next one takes up.

Each run has a number, which is in what it writes, so that the old, the new, and a mixture of both can
be told apart. Everything here runs in forked processes; the parent only imports and warms up.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch
from torch import nn

import edgeopt

EXAMPLE = torch.linspace(-1, 1, 8)[None]
TRIALS = 4
DATA = [torch.randn(16, 8, generator=torch.Generator().manual_seed(i)) for i in range(4)]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2)).eval()


class Job:
    """A kind of run.

    Attributes:
        name: For the table.
        share: How many of 300 kills are for it.
        limit_s: Seconds that a whole run may take.
        step: What is added to the number after a kill.
    """

    name, share, limit_s, step = "", 0, 60.0, 0

    def run(self, room, number):
        """Does the work numbered ``number`` in the folder ``room``."""
        raise NotImplementedError

    def warm_up(self, room):
        """Has this process import what runs need, so that forked ones find it; starts no thread."""
        self.run(room, 0)

    def place(self, room):
        """Returns the folder that drafts may lie in."""
        return room

    def state(self, room, number):
        """Returns what lies there, for the table; raises where it is half-written or lost.

        It is called after the run ``number`` was killed, and again (``number`` done) after the next.
        """
        raise NotImplementedError

    def whole(self, room, number):
        """Checks what a run that came to its end has left."""
        state = self.state(room, number)
        assert state == "new", state


class Numbered(Job):
    """Replaces what lies there by what carries the next number."""

    step = 1

    def state(self, room, number):
        found = self.number(room)
        assert found in {number - 1, number}, f"{found} lies there, not {number - 1} or {number}"
        return "new" if found == number else "old"


class Publish(Numbered):
    """A bundle over a bundle."""

    name, share, suffix = "publish", 75, ""

    def run(self, room, number):
        from edgeopt.bundles import write_bundle
        from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target

        artifact = toy_artifact(factor=float(number))
        report = {"number": number, "padding": "x" * 300_000}
        golden = toy_golden(toy_artifact())
        path = room / f"bundle{self.suffix}"
        write_bundle(artifact, toy_runtime(), toy_target(), path=path, golden=golden, report=report,
                     overwrite=True)  # fmt: skip

    def number(self, room):
        from edgeopt.bundles import read_bundle

        bundle = read_bundle(room / f"bundle{self.suffix}")
        number = bundle.report["number"]
        assert json.loads(bundle.read("model/model.json"))["factor"] == number
        return number


class PublishZip(Publish):
    """A .zip over a .zip."""

    name, share, suffix = "publish as .zip", 35, ".zip"


class Push(Numbered):
    """A folder to this machine as a device."""

    name, share = "push, local", 30

    def device(self, room):
        from edgeopt.devices import LocalDevice

        return LocalDevice(room / "device")

    def run(self, room, number):
        local = room / "local"
        local.mkdir(exist_ok=True)
        for index in range(12):
            (local / f"part{index}").write_text(f"{number}\n" * 20_000)
        with self.device(room) as device:
            device.push(local, PurePosixPath("there"))

    def number(self, room):
        files = sorted(self.home(room).glob("there/*"))
        assert len(files) == 12, f"{len(files)} files of 12"
        texts = {file.read_text() for file in files}
        assert len(texts) == 1, "files of two pushes"
        (text,) = texts
        number = text.partition("\n")[0]
        assert text == f"{number}\n" * 20_000, "a file is half there"
        return int(number)

    def home(self, room):
        return room / "device"


class PushSsh(Push):
    """The same over SSH: the process of this machine is killed, the device lives on."""

    name, share = "push, SSH", 25

    def __init__(self, server):
        self.server = server

    def warm_up(self, room):
        """The connection that runs share ends soon after the last of them."""
        from edgeopt.devices import ssh

        ssh._IDLE_S = 1

    def place(self, room):
        return self.server.home

    def device(self, room):
        from edgeopt.devices.ssh import SshDevice

        return SshDevice(self.server.spec)

    def home(self, room):
        (work,) = [p.parent for p in self.server.home.rglob("there")]
        return work


class Files(Numbered):
    """Single files: a program, a pruned module, the registry of devices, the history."""

    name, share = "program, module, registry", 30

    def warm_up(self, room):
        from edgeopt.ir import capture_module

        self.program = capture_module(network(), EXAMPLE)
        super().warm_up(room)

    def run(self, room, number):
        from edgeopt.devices.registry import Known, add_device
        from edgeopt.ir import Step, save_program
        from edgeopt.pruning.structure import save_module

        model = network()
        with torch.no_grad():
            model[0].bias.fill_(number)
        program = replace(self.program, history=(Step(f"{number}"),))
        save_program(program, room / "program.zip")
        save_module(model, {}, room / "module")
        add_device("pi", Known(f"ssh://pi@host{number}"), replace=True)

    def number(self, room):
        from edgeopt.devices.registry import known_devices
        from edgeopt.ir import load_program
        from edgeopt.pruning.structure import load_pruned

        program = int(load_program(room / "program.zip").history[0].name)
        module = load_pruned(room / "module", network())[0].bias[0].item()
        registry = int(known_devices()["pi"].device.removeprefix("ssh://pi@host"))
        numbers = [program, int(module), registry]
        assert numbers == sorted(numbers, reverse=True), numbers  # written in this order
        assert max(numbers) - min(numbers) <= 1, numbers
        return registry


class Resumed(Job):
    """Begun anew for each kill; the run after a kill comes to what an unkilled one comes to."""

    def state(self, room, number):
        folder = room / str(number)
        return self.progress(folder) if folder.exists() else "nothing yet"

    def whole(self, room, number):
        made = (room / str(number) / "result").read_text()
        first = room / "first"
        if not first.exists():
            first.write_text(made)
        assert made == first.read_text(), "not what a run that nobody killed comes to"

    def run(self, room, number):
        folder = room / str(number)
        folder.mkdir(exist_ok=True)
        result = self.result(folder)
        (folder / "result.part").write_text(str(result))
        (folder / "result.part").rename(folder / "result")


class Train(Resumed):
    """A training with a checkpoint after every step."""

    name, share = "checkpoint", 45

    def result(self, folder):
        model = network()
        options = {"epochs": 4, "checkpoint": folder / "checkpoints", "checkpoint_every": 1}
        made = edgeopt.distill(model, network(), DATA, **options)
        return {n: t.tolist() for n, t in made.student.state_dict().items()}

    def progress(self, folder):
        from edgeopt.training.checkpoint import POINTER, read_checkpoint

        checkpoint = read_checkpoint(folder / "checkpoints")
        if checkpoint is None:
            assert not (folder / "checkpoints" / POINTER).exists()
            return "nothing yet"
        return "kept"


class Compress(Resumed):
    """A recipe in a work folder."""

    name, share = "compress", 35

    def result(self, folder):
        from edgeopt.recipes import Distill, Prune, Recipe

        recipe = Recipe(steps=(Prune(ratio=0.5, importance="l1"), Distill(epochs=2)))
        given = {"example_inputs": EXAMPLE, "data": DATA, "work": folder / "work"}
        made = edgeopt.compress(network(), recipe, **given)
        resumed = [record.name for record in made.steps if record.resumed]
        kept = json.loads((folder / "kept").read_text()) if (folder / "kept").exists() else []
        assert resumed[: len(kept)] == kept, (
            f"{kept} were finished, only {resumed} are not repeated"
        )
        return made.program.digest

    def progress(self, folder):
        """Notes which steps are finished: the next run must not repeat them."""
        steps = sorted((folder / "work" / "steps").glob("[0-9][0-9]-*"))
        kept = [p.name[3:] for p in steps if p.suffix != ".part" and not p.name.startswith(".")]
        (folder / "kept").write_text(json.dumps(kept))
        return "kept" if kept else "nothing yet"


class Search(Resumed):
    """A search whose study lies in a file."""

    name, share, limit_s = "search", 20, 120.0

    def warm_up(self, room):
        import optuna  # noqa: F401
        import sqlalchemy.dialects.sqlite  # noqa: F401

    def result(self, folder):
        given = {"example_inputs": EXAMPLE, "calibration_data": [(d[:1],) for d in DATA]}
        options = {"backends": ["tflite"], "precisions": ["float16", "float32"], "trials": 2}
        study = folder / "study.sqlite"
        options |= {"max_drop": 1.0, "evaluate": lambda _: 1.0, "study": study}
        found = edgeopt.search(network(), "rpi4", **given, **options)
        counted = int((folder / "kept").read_text()) if (folder / "kept").exists() else 0
        done = self.complete(study)
        assert done >= counted, f"{counted} trials were measured, {done} are there"
        assert found.best is not None
        return json.dumps(sorted({t.configuration.digest for t in found.trials if t.measured}))

    def progress(self, folder):
        study = folder / "study.sqlite"
        done = self.complete(study) if study.exists() else 0
        (folder / "kept").write_text(str(done))
        return "kept" if done else "nothing yet"

    def complete(self, path):
        import sqlite3

        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
            tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'trials'")
            if not tables.fetchall():
                return 0
            count = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
            return database.execute(count).fetchone()[0]


class Tune(Resumed):
    """A tuning, with a process of its own that measures; it must end with the killed one."""

    name, share, limit_s = "tune", 10, 150.0

    def warm_up(self, room):
        """Imports the toolchain, which starts its threads only when it works."""
        import edgeopt_tvm.tuning.run  # noqa: F401

    def result(self, folder):
        from edgeopt.options import TuneOptions
        from edgeopt.tuning import TuningDatabase
        from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker
        from edgeopt_tvm.tuning.templates import KERNELS
        from edgeopt_tvm.tuning.tuner import Tuner

        machine, tasks = self.kernels(folder.parent)
        options = TuneOptions(trials=TRIALS, limit_s=60.0)
        with (
            TuningDatabase(folder / "tuning.sqlite") as database,
            MeasurementWorker(machine, KERNELS, options) as worker,
        ):
            report = Tuner(tasks, worker, database, options).run()
        counted = int((folder / "kept").read_text()) if (folder / "kept").exists() else 0
        done = self.complete(folder)
        assert done >= max(counted, TRIALS), f"{counted} trials were kept, {done} are there"
        assert not report.failures, report.failures
        return "tuned"

    def kernels(self, room):
        """Returns the machine and its kernels, which the first run of all lowers for the others."""
        import msgspec

        from edgeopt.registry import find_target
        from edgeopt.tuning import Key
        from edgeopt_tvm.machine import machine_of
        from edgeopt_tvm.tuning.tasks import Task

        machine, file = machine_of(find_target("host")), room / "kernels"
        if not file.exists():
            tasks = [
                {**vars(task), "key": msgspec.structs.asdict(task.key)}
                for task in self.lowered(machine)
            ]
            file.write_text(json.dumps(tasks))  # names are TVM's strings
        tasks = json.loads(file.read_text())
        return machine, [Task(Key(**task.pop("key")), **task) for task in tasks]

    def lowered(self, machine):
        from edgeopt.ir import capture_module
        from edgeopt.quantization import QuantizationConfig, quantize_program
        from edgeopt_tvm.lowering import lower_program
        from edgeopt_tvm.tuning.tasks import tasks_of
        from edgeopt_tvm.tuning.templates import KERNELS

        settings = QuantizationConfig(rounding="nearest")
        layer = nn.Linear(64, 64).eval()  # one kernel, of more forms than trials on every machine
        data = [(d[:8].reshape(1, 64),) for d in DATA]
        program = quantize_program(capture_module(layer, data[0][0]), data, settings)
        return tasks_of(lower_program(program, machine), machine, KERNELS)

    def progress(self, folder):
        done = self.complete(folder)
        (folder / "kept").write_text(str(done))
        return "kept" if done else "nothing yet"

    def complete(self, folder):
        from edgeopt.tuning import open_database

        database = open_database(folder / "tuning.sqlite")
        if database is None:
            return 0
        with database:
            return len(list(database.records()))


def jobs(room, only=""):
    """Returns the jobs whose name ``only`` fits, and what to call afterwards."""
    every = [Publish(), PublishZip(), Push(), Files(), Train(), Compress(), Search(), Tune()]
    every = [job for job in every if re.search(only, job.name)]
    if not re.search(only, PushSsh.name) or not Path("/usr/sbin/sshd").exists():
        return every, lambda: None
    sys.path.insert(0, str(Path(__file__).parents[1] / "device"))
    from sshd import Sshd

    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)  # sshd insists on it
    (room / "sshd").mkdir()
    server = Sshd(room / "sshd")
    server.start()
    os.environ["EDGEOPT_SSH"] = f"ssh -F {server.config}"
    return [*every, PushSsh(server)], server.stop
