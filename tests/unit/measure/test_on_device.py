"""Bundles on this machine as a device, and on one whose Python lacks what the bundle needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edgeopt.bundles import write_bundle
from edgeopt.contracts import Signature, TensorSpec, Wheel
from edgeopt.devices.local import LocalDevice
from edgeopt.errors import BundleError, DeviceError, InputError
from edgeopt.measure import PlacedBundle, profile_bundle, run_on_device, verify_on_device
from edgeopt.testing.toy import TOY_RUNTIME, toy_artifact, toy_golden, toy_runtime, toy_target

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

X = np.array([[1, 2, 3, 4]], np.float32)


@pytest.fixture
def device(tmp_path):
    with LocalDevice(tmp_path / "device") as held:
        yield held


@pytest.fixture
def make(tmp_path):
    def made(name="toy", *, artifact=None, wrong=0.0, runtime=None):
        artifact = artifact or toy_artifact()
        golden = toy_golden(artifact, wrong=wrong)
        runtime = runtime or toy_runtime()
        return write_bundle(artifact, runtime, toy_target(), path=tmp_path / name, golden=golden)

    return made


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_profile(make, device, name):
    bundle = make(name)
    profile = profile_bundle(bundle, device, runs=70, threads=2)
    assert profile.label == "measured"
    assert profile.device == "local"
    assert profile.digest == bundle.digest
    assert 0 < profile.latency_ms < 50
    assert profile.latency.p90_ms is not None
    assert (profile.runs, profile.threads, profile.inputs) == (70, 2, "golden")
    assert profile.facts["runtime"]["threads"] == 2
    assert profile.facts["device"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert 5 < profile.peak_memory_mb < 300


def test_nothing_is_left_but_the_bundle(make, device, tmp_path):
    bundle = make()
    profile_bundle(bundle, device, runs=3)
    run_on_device(bundle, device, [X])
    (placed,) = (tmp_path / "device/bundles").iterdir()
    assert files(placed) == files(bundle.path)
    left = [name for name in files(tmp_path / "device") if not name.startswith("bundles/")]
    assert left == []


def test_one_call_and_many(make, device):
    bundle = make(artifact=toy_artifact(inputs=2, outputs=2))
    double, total = run_on_device(bundle, device, [X, X])
    np.testing.assert_array_equal(double, X * 2)
    np.testing.assert_array_equal(total, [[10]])
    samples = [[X + n, X] for n in range(5)]
    outputs = PlacedBundle.push(bundle, device).run(samples)
    assert len(outputs) == 5
    for sample, (double, total) in zip(samples, outputs, strict=True):
        np.testing.assert_array_equal(double, sample[0] * 2)
        np.testing.assert_array_equal(total, sample[0].sum(keepdims=True))
    assert PlacedBundle.push(bundle, device).run([]) == []


def test_names_that_numpy_takes_as_options(make, device):
    artifact = toy_artifact()
    inputs = (TensorSpec("file", (1, 4), "float32"),)
    outputs = (TensorSpec("allow_pickle", (1, 4), "float32"),)
    bundle = make(artifact=msgspec.structs.replace(artifact, signature=Signature(inputs, outputs)))
    np.testing.assert_array_equal(run_on_device(bundle, device, [X])[0], X * 2)


def test_inputs_that_do_not_fit(make, device):
    bundle = make()
    for wrong in ([], [X, X], [X[0]], [X.astype(np.float64)]):
        with pytest.raises(InputError, match="expected"):
            run_on_device(bundle, device, wrong)


@pytest.mark.parametrize("wrong", [0.0, 0.5])
def test_verify(make, device, wrong):
    result = verify_on_device(make(wrong=wrong), device)
    assert result.ok == (wrong == 0.0)
    assert "golden samples: 2 run" in str(result)
    assert ("out of tolerance (largest error 0.5)" in str(result)) == (wrong > 0)


def test_a_file_that_was_changed_on_the_device(make, device, tmp_path):
    placed = PlacedBundle.push(make(), device)
    (file,) = (tmp_path / "device/bundles").rglob("model.json")
    file.write_text('{"factor": 9.0}')
    result = placed.verify()
    assert not result.ok
    assert "model/model.json" in str(result)
    with pytest.raises(DeviceError, match=r"status 1: run\.py: model/model\.json: its content"):
        placed.run([[X]])
    with pytest.raises(DeviceError, match="status 1"):
        placed.profile(runs=3)


def test_a_bundle_that_changed_here_is_not_pushed(make, device, tmp_path):
    bundle = make()
    (bundle.path / "model/model.json").write_text("{}")
    with pytest.raises(BundleError, match=r"model/model\.json"):
        PlacedBundle.push(bundle, device)
    assert not (tmp_path / "device/bundles").exists()


def test_a_runtime_that_fails(make, device):
    source = TOY_RUNTIME.replace("return [", "raise ValueError('broken'); return [")
    with pytest.raises(DeviceError, match="the model failed: ValueError"):
        profile_bundle(make(runtime=toy_runtime(source=source)), device, runs=3)


def test_a_runtime_that_never_ends(make, device):
    source = TOY_RUNTIME.replace("return [", "\n        while True: pass\n        return [")
    with pytest.raises(DeviceError):
        profile_bundle(make(runtime=toy_runtime(source=source)), device, runs=3, timeout_s=3)


class Wheelhouse(LocalDevice):
    """Takes requirements from wheels that the test made."""

    def __init__(self, workdir, wheels):
        super().__init__(workdir)
        self.wheels = wheels
        self.installed = []

    def install(self, requirements, into):
        self.installed.append(tuple(requirements))
        super().install([str(wheel) for wheel in self.wheels], into)


@pytest.fixture
def toyrt(tmp_path):
    """A wheel of a runtime that is nowhere installed."""
    source = tmp_path / "toyrt"
    source.mkdir()
    (source / "toyrt_for_tests.py").write_text("FACTOR = 2\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (source / "backend.py").write_text(
        "import pathlib, zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'toyrt_for_tests-1.0-py3-none-any.whl'\n"
        "    info = 'toyrt_for_tests-1.0.dist-info/'\n"
        "    with zipfile.ZipFile(pathlib.Path(folder) / name, 'w') as archive:\n"
        "        archive.write('toyrt_for_tests.py')\n"
        "        text = 'Metadata-Version: 2.1\\nName: toyrt-for-tests\\nVersion: 1.0\\n'\n"
        "        archive.writestr(info + 'METADATA', text)\n"
        "        wheel = 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'\n"
        "        archive.writestr(info + 'WHEEL', wheel)\n"
        "        archive.writestr(info + 'RECORD', '')\n"
        "    return name\n"
    )
    code = "import backend; print(backend.build_wheel('.'))"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return source / "toyrt_for_tests-1.0-py3-none-any.whl"


def test_a_missing_runtime_is_installed_once(make, toyrt, tmp_path):
    runtime = toy_runtime(
        source="import toyrt_for_tests\n" + TOY_RUNTIME,
        wheels=(Wheel("toyrt-for-tests", "1.0", ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")),),
    )
    bundle = make(runtime=runtime)
    with Wheelhouse(tmp_path / "device", [toyrt]) as device:
        placed = PlacedBundle.push(bundle, device)
        assert placed.verify().ok
        profile = placed.profile(runs=3)
        np.testing.assert_array_equal(placed.run([[X]])[0][0], X * 2)
        assert run_on_device(bundle, device, [X])[0].shape == (1, 4)
    assert device.installed == [("toyrt-for-tests==1.0",)]
    assert profile.facts["requirements"]["toyrt-for-tests"]["installed"] == "1.0"
    assert not [line for line in profile.warnings if "pinned" in line]


def test_a_runtime_that_is_missing_even_then(make, toyrt, tmp_path):
    runtime = toy_runtime(source="import nowhere_at_all\n" + TOY_RUNTIME)
    with Wheelhouse(tmp_path / "device", [toyrt]) as device:
        with pytest.raises(DeviceError, match=r"status 3: .*nowhere_at_all"):
            verify_on_device(make(runtime=runtime), device)
        assert device.installed == [("numpy",)]
