"""No model file runs anything when it is read: each attack, under every reader, under an audit hook."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import readers
import torch
from attacks import CONTAINER, FLAG, GRAPH
from torch import nn

from edgeopt.bundles import write_bundle
from edgeopt.ir import capture_module, save_program
from edgeopt.options import CompileOptions
from edgeopt.recipes.result import Figures, StepRecord
from edgeopt.reference_backend import ENTRY, ReferenceBackend
from edgeopt.registry import find_target

OURS = "edgeopt.errors."
LEFT_OUT = {
    "named tuple by its name",
    "code as a guard",
    "code as a range",
    "callees in metadata",
    "enum in a submodule's results",
}
"""Attacks in fields that are never looked at: such a file is read as if they were not there.

A named tuple is read as a tuple: its name is not looked up."""
WITHIN = {
    name: attack
    for name, attack in GRAPH.items()
    if name.startswith(("enum", "library", "code as a d", "factory"))
}
"""Those that are tried on archives inside something else."""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A working folder, with what hostile files would import."""
    folder = tmp_path_factory.mktemp("room")
    (folder / "evil_module.py").write_text(
        f"import enum, os\nos.system('touch {FLAG}')\nclass Kind(enum.Enum):\n    A = 1\n"
    )
    return folder


@pytest.fixture(scope="module")
def pt2(model, room):
    path = room / "honest.pt2"
    torch.export.save(torch.export.export(model, (torch.randn(1, 3, 8, 8),)), path)
    return path


@pytest.fixture(scope="module")
def program(model):
    return capture_module(model, torch.randn(1, 3, 8, 8))


@pytest.fixture(scope="module")
def archive(program, room):
    return save_program(program, room / "honest.zip")


@pytest.fixture(scope="module")
def as_bundle(program, room):
    """Returns a function that puts an archive into a bundle whose digests fit."""
    backend, host = ReferenceBackend(), find_target("host")
    artifact = backend.compile(backend.lower(program, host), CompileOptions())

    def write(content, name):
        changed = msgspec.structs.replace(artifact, files={ENTRY: content})
        return write_bundle(changed, backend.device_runtime(host), host, path=room / name).path

    return write


@pytest.fixture(scope="module")
def as_work(program, room):
    """Returns a function that puts an archive into a work folder whose digests fit."""

    def write(content, name):
        work = readers.work_folder(room / name)
        figures = Figures(1, 1, 1)
        work.scratch(0, None)
        work.keep(0, readers.state(program), StepRecord("quantize", {}, figures, figures, 1.0))
        folder = next((room / name / "steps").iterdir())
        (folder / "program.zip").write_bytes(content)
        record = json.loads((folder / "record.json").read_bytes())
        record["sha256"]["program.zip"] = hashlib.sha256(content).hexdigest()
        (folder / "record.json").write_text(json.dumps(record))
        return room / name

    return write


def watched(room, reader, honest, paths):
    """Returns what the reader said and did for each path, and whether the payload ran."""
    (room / FLAG).unlink(missing_ok=True)
    script = Path(__file__).with_name("watched.py")
    command = [sys.executable, str(script), reader, str(honest), *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": ":".join([str(room), *sys.path])}
    done = subprocess.run(
        command, cwd=room, capture_output=True, text=True, check=False, env=environment, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], (room / FLAG).exists()


def check(room, reader, honest, files):
    names, paths = list(files), list(files.values())
    told, executed = watched(room, reader, honest, [honest, *paths])
    assert told[0]["said"].startswith("read ")
    for name, one in zip(["honest", *names], told, strict=True):
        assert one["events"] == [], name
    for name, one in zip(names, told[1:], strict=True):
        wanted = "read " if name in LEFT_OUT else OURS
        assert one["said"].startswith(wanted), (name, one["said"])
    assert not executed


def written(honest, attacks, put):
    content = honest.read_bytes()
    return {name: put(attack(content), name.replace(" ", "-")) for name, attack in attacks.items()}


def test_pt2_files(room, pt2):
    def put(content, name):
        path = room / f"{name}.pt2"
        path.write_bytes(content)
        return path

    check(room, "pt2", pt2, written(pt2, {**GRAPH, **CONTAINER}, put))


def test_program_archives(room, archive):
    def put(content, name):
        path = room / f"{name}.zip"
        path.write_bytes(content)
        return path

    check(room, "program", archive, written(archive, GRAPH, put))


def test_bundles(room, archive, as_bundle):
    honest = as_bundle(archive.read_bytes(), "honest-bundle")
    put = lambda content, name: as_bundle(content, f"bundle-{name}")  # noqa: E731
    check(room, "bundle", honest, written(archive, WITHIN, put))


def test_work_folders(room, archive, as_work):
    honest = as_work(archive.read_bytes(), "honest-work")
    put = lambda content, name: as_work(content, f"work-{name}")  # noqa: E731
    check(room, "work", honest, written(archive, WITHIN, put))


class Payload:
    """Unpickling it runs a command."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        return os.system, (f"touch {FLAG}",)


@pytest.fixture(scope="module")
def pickled(model, room):
    """Models that were pickled whole, with a payload beside their weights: as torch saves now, and long ago."""
    torch.save(model, room / "honest.pt")
    model.payload = Payload(1)
    paths = []
    for zipped in (True, False):
        paths.append(room / f"payload-{len(paths)}.pt")
        torch.save({"model": model}, paths[-1], _use_new_zipfile_serialization=zipped)
    del model.payload
    return paths


def test_pickled_models(room, pickled):
    told, executed = watched(room, "saved module", room / "honest.pt", pickled)
    assert not executed
    for one in told:
        assert one["events"] == []
        assert one["said"].startswith("read ['0.bias', '0.weight'")


def test_torch_itself_does_run_what_is_pickled(room, pickled):
    told, executed = watched(room, "torch unpickles", room / "honest.pt", pickled[:1])
    assert executed
    assert any(text.startswith("os.system") for text in told[0]["events"])


RUN = {
    "object in capitals": "pickle.find_class",
    "two directories": "os.system",
    "factory of a defaultdict": "exec <code object <module>",
    "library in the results": "ctypes.dlopen",
}


def test_torch_itself_does_run_them(room, pt2):
    """That the hook sees it: when this fails, torch has become safe, or the hook is deaf."""
    attacks, honest, paths = {**GRAPH, **CONTAINER}, pt2.read_bytes(), []
    for name in RUN:
        paths.append(room / f"torch-{len(paths)}.pt2")
        paths[-1].write_bytes(attacks[name](honest))
    told, executed = watched(room, "torch itself", pt2, paths)
    assert executed
    for event, one in zip(RUN.values(), told, strict=True):
        assert any(text.startswith(event) for text in one["events"]), event
