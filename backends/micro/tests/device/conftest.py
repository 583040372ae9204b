"""Bundles and artefacts of a tiny model, and the host's side of the line as a module."""

from __future__ import annotations

import shutil
import sys
from importlib import resources
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(resources.files("edgeopt_micro") / "device"))  # what a bundle has in `lib`

from runtime import Model
from tiny import CORES, RUNTIME, artifact_of, expected, laid_out, sample, target_of

from edgeopt.bundles import GoldenSamples, Tolerance, write_bundle

_PROGRAMS = {"qemu-system-arm": "qemu-system-arm", "qemu-system-riscv32": "qemu-system-misc"}


@pytest.fixture(params=CORES)
def core(request):
    program = "qemu-system-riscv32" if request.param == "RV32" else "qemu-system-arm"
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: sudo apt-get install {_PROGRAMS[program]}")
    return request.param


@pytest.fixture
def m3():
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed: sudo apt-get install qemu-system-arm")
    return target_of("M3")


@pytest.fixture
def model_of(tmp_path, monkeypatch):
    """Returns a function from an artefact to the model on the board that is named."""
    models = []

    def model_of(artifact, board: str = "emulated"):
        monkeypatch.setenv("EDGEOPT_BOARD", board)
        entry = laid_out(artifact, tmp_path / f"artefact{len(models)}")
        models.append(Model(entry, artifact.metadata, 0))
        return models[-1]

    yield model_of
    for model in models:
        model.close()


@pytest.fixture
def bundle_of(tmp_path):
    """Returns a function from a target to a bundle with golden samples."""

    def bundle_of(target, artifact=None):
        inputs = [sample(seed) for seed in range(2)]
        golden = GoldenSamples.of(inputs, [expected(*x) for x in inputs], [Tolerance()] * 2)
        artifact = artifact or artifact_of(target)
        path = tmp_path / f"bundle-{target.name}"
        return write_bundle(artifact, RUNTIME, target, path=path, golden=golden)

    return bundle_of
