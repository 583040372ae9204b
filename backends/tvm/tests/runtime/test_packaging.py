"""What goes onto which device, and how it lies in a bundle."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from edgeopt.bundles import GoldenSamples, Tolerance, read_bundle, write_bundle
from edgeopt.contracts import Artifact, Signature, TensorSpec
from edgeopt.errors import TargetError
from edgeopt.registry.target_registry import find_target
from edgeopt_tvm.packaging import LIBRARY, PROGRAM, device_runtime, entry_of, model_files
from edgeopt_tvm.wheels import runtime_wheels


def device(name, **os):
    target = find_target(name)
    return msgspec.structs.replace(target, os=msgspec.structs.replace(target.os, **os))


@pytest.mark.parametrize(
    ("name", "glibc", "python", "version"),
    [
        ("rpi4", "2.36", "3.11", "2.4.6"),
        ("rpi4", "2.31", "3.9", "2.0.2"),
        ("rpi4", "2.26", "3.11", "2.2.6"),
        ("nuc-n100", "2.39", "3.14", "2.5.5"),
    ],
)
def test_the_newest_numpy_that_runs_there(name, glibc, python, version):
    (wheel,), notes = runtime_wheels(device(name, glibc=glibc, python=python))
    assert (wheel.requirement, wheel.pythons, notes) == (f"numpy=={version}", (python,), ())


@pytest.mark.parametrize("name", ["generic-armv7", "generic-riscv64"])
def test_without_a_numpy_it_says_what_runs_it(name):
    runtime = device_runtime(find_target(name))
    assert runtime.wheels == ()
    assert "model/run" in runtime.notes[0]
    assert "python3-numpy" in runtime.notes[0]


def test_without_python_nothing_is_needed():
    target = device("rpi4", python="")
    runtime = device_runtime(target)
    assert runtime.wheels == ()
    assert "no Python" in runtime.notes[0]
    assert entry_of(target) == PROGRAM
    assert entry_of(device("rpi4", glibc="")) == PROGRAM
    assert entry_of(find_target("rpi4")) == LIBRARY


@pytest.mark.parametrize(("python", "glibc"), [("3.8", "2.36"), ("3.14", "2.24"), ("3.11", "2.12")])
def test_a_python_without_numpy_is_refused(python, glibc):
    with pytest.raises(TargetError, match=f"glibc {glibc} and Python {python}"):
        device_runtime(device("rpi4", python=python, glibc=glibc))


@pytest.fixture
def bundle(integers, tmp_path):
    """Returns a bundle for this machine, as a folder and as a .zip."""
    target = find_target("host")
    kinds = [[b for b in integers.executable.buffers if b.kind == k] for k in ("input", "output")]
    specs = [tuple(TensorSpec(b.name, b.shape, b.dtype) for b in held) for held in kinds]
    files = model_files(integers.executable, target)
    artifact = Artifact("tvm", target.name, "int8", Signature(*specs), files, LIBRARY)
    golden = GoldenSamples.of([integers.inputs], [integers.wanted], Tolerance())
    runtime = device_runtime(target)
    paths = (tmp_path / "toy", tmp_path / "toy.zip")
    return [write_bundle(artifact, runtime, target, path=p, golden=golden) for p in paths]


def test_the_program_in_a_bundle_can_be_started(bundle, integers, tmp_path):
    folder, zipped = bundle
    unpacked = read_bundle(zipped.path).unpack(tmp_path / "unpacked")
    for held in (folder, unpacked):
        program = held.path / "model" / "run"
        assert os.access(program, os.X_OK)
        assert not os.access(held.path / "model" / "model.so", os.X_OK)
        words = ["--output", "q=q.npy"]
        for index in range(2):
            words += ["--input", held.path / "golden" / f"input_000_{index}.npy"]
        subprocess.run([program, *words], cwd=tmp_path, check=True)
        np.testing.assert_array_equal(np.load(tmp_path / "q.npy"), integers.wanted[0])


def test_the_bundle_verifies_itself(bundle):

    command = [sys.executable, bundle[0].path / "run.py", "--verify"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
