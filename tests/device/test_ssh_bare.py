"""A device with a shell and its tools, and nothing else: no Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
import pytest

import edgeopt
from edgeopt.bundles import GoldenSamples, Tolerance, write_bundle
from edgeopt.devices.ssh import SshDevice
from edgeopt.errors import DeviceError
from edgeopt.measure import PlacedBundle
from edgeopt.registry import find_backend
from edgeopt.testing.specimens import specimen
from edgeopt.testing.toy import toy_artifact, toy_runtime, toy_target

pytestmark = pytest.mark.slow

COREUTILS = [
    "basename",
    "cat",
    "cp",
    "cut",
    "df",
    "dirname",
    "find",
    "flock",
    "getconf",
    "grep",
    "head",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "nproc",
    "printf",
    "rm",
    "sed",
    "setsid",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "tail",
    "tar",
    "test",
    "tr",
    "true",
    "uname",
    "wc",
]
# What a native program would do, for a model that multiplies by one.
PROGRAM = """#!/bin/sh
for word do case $last in --input) i=${word#*=} ;; --output) o=${word#*=} ;; --json) j=$word ;; esac
last=$word; done
[ "$o" ] && cp "$i" "$o"
[ "$j" ] && cat >"$j" <<END
{"bundle": "", "digest": "", "inputs": "noise", "threads": 0, "samples_ns": [5, 6, 7],
 "first_inference_ns": 9, "import_ns": 0, "load_ns": 1, "peak_memory_kb": 2048,
 "memory_before_kb": 1024, "runtime": {"name": "toy"}, "requirements": {},
 "device": {"cores": 2}, "before": {}, "after": {}}
END
exit 0
"""


@pytest.fixture(scope="module", params=["coreutils", "busybox", "toybox"])
def bare(request, ssh_server, tmp_path_factory):
    """Yields a server whose users find these tools and no others."""
    folder = tmp_path_factory.mktemp(request.param)
    tools = folder / "bin"
    tools.mkdir()
    links = {name: shutil.which(name, path="/usr/bin:/bin") for name in COREUTILS}
    if request.param != "coreutils":
        links |= _applets(request.param)
    for name, program in links.items():
        (tools / name).symlink_to(program)
    home = folder / "home"
    login = (
        f"#!{tools}/sh\ncd {home}; HOME={home} PATH={tools}; export HOME PATH\n"
        f'exec {tools}/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    server = ssh_server(folder, login=login)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEOPT_SSH", f"ssh -F {server.config}")
        yield server
    server.stop()


def _applets(box):
    """Returns the tools that ``box`` can be; Toybox has no shell, which Android takes elsewhere."""
    program = shutil.which(box)
    if program is None:
        pytest.skip(f"NOT TESTED: {box} is not installed (apt-get install {box})")
    option = {"busybox": "--list", "toybox": "--long"}[box]
    done = subprocess.run([program, option], capture_output=True, text=True, check=True, timeout=30)
    return {Path(name).name: program for name in done.stdout.split()}


@pytest.fixture
def device(bare):
    with SshDevice(bare.spec) as device:
        yield device


@pytest.fixture
def bundle(tmp_path):
    artifact = toy_artifact(factor=1.0)
    artifact = msgspec.structs.replace(artifact, files={**artifact.files, "run": PROGRAM.encode()})
    samples = [(np.full((1, 4), n, np.float32),) for n in range(2)]
    golden = GoldenSamples.of(samples, samples, Tolerance())
    return write_bundle(artifact, toy_runtime(), toy_target(), path=tmp_path / "b", golden=golden)


def test_files_go_there_and_back(device, tmp_path):
    there = tmp_path / "there"
    (there / "a $x" / "b").mkdir(parents=True)
    (there / "a $x" / "b" / "it's").write_bytes(os.urandom(100_000))
    (there / "tool").write_text("#!/bin/sh\nexit 3\n")
    (there / "tool").chmod(0o755)
    for _ in range(2):
        device.push(there, PurePosixPath("folder"))
        (there / "new").write_text("more")
    device.pull(PurePosixPath("folder"), tmp_path / "back")
    assert (tmp_path / "back/a $x/b/it's").read_bytes() == (there / "a $x/b/it's").read_bytes()
    assert (tmp_path / "back/new").read_text() == "more"
    assert device.run([str(device.workdir() / "folder" / "tool")]).returncode == 3
    device.pull(PurePosixPath("folder/tool"), tmp_path / "tool")
    assert os.access(tmp_path / "tool", os.X_OK)


def test_programs_run_and_end(device):
    done = device.run(["sh", "-c", 'echo "$A"; echo e >&2; exit 7'], env={"A": "a  'b"})
    assert (done.returncode, done.stdout, done.stderr) == (7, "a  'b\n", "e\n")
    with pytest.raises(DeviceError, match="longer than 1 s"):
        device.run(["sh", "-c", "sleep 100 & sleep 100"], timeout_s=1)
    assert list(Path(device.workdir(), "jobs").iterdir()) == []


def test_python_is_missed_by_name(device):
    with pytest.raises(DeviceError, match="no Python on it") as caught:
        device.run(["python3", "-c", "pass"])
    assert "model/run" in caught.value.hint
    with pytest.raises(DeviceError, match="no Python"):
        device.install(["numpy"], PurePosixPath("site"))


def test_facts_without_python(device):
    facts = device.facts()
    assert facts["python"] is None
    assert facts["arch"] == device.arch
    assert facts["cores"] >= 1
    assert facts["memory_mb"] > 100
    assert facts["cpu"]


def test_a_bundle_runs_by_its_program(device, bundle):
    placed = PlacedBundle.push(bundle, device)
    assert placed.verify().ok
    x = np.array([[1, 2, 3, 4]], np.float32)
    ((y,), (z,)) = placed.run([[x], [x + 1]])
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(z, x + 1)
    profile = placed.profile(runs=3)
    assert (profile.digest, profile.bundle) == (bundle.digest, bundle.name)
    assert profile.latency_ms == pytest.approx(6e-6)
    assert list(Path(device.workdir(), "scratch").iterdir()) == []


def test_it_can_be_held(device):
    with device.hold(0), pytest.raises(DeviceError, match="another measurement"):
        device.hold(0).__enter__()
    with device.hold(5):
        pass


@pytest.mark.skipif(
    find_backend("tvm").available() is not None, reason="NOT CHECKED: pip install 'edgeopt[tvm]'"
)
def test_deploy_to_a_device_without_python(bare, tmp_path):
    held = specimen("residual")
    deployed = edgeopt.deploy(
        held.model,
        "host",
        backend="tvm",
        example_inputs=held.example,
        calibration_data=held.samples,
        checks=edgeopt.Checks(speed=False),
        device=bare.spec,
        output=tmp_path / "bundle",
    )
    assert deployed.profile.latency_ms > 0
    assert deployed.profile.facts["device"]["cores"] >= 1
