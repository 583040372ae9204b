from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

import pytest

from edgeopt.devices import LocalDevice
from edgeopt.errors import DeviceError


def test_its_python_is_this_one():
    with LocalDevice() as device:
        done = device.run(["python3", "-c", "import sys; print(sys.executable)"])
    assert done.stdout.strip() == sys.executable


def test_a_temporary_workdir_goes_away():
    with LocalDevice() as device:
        folder = Path(device.workdir())
        (folder / "file").write_text("x")
        assert folder.is_dir()
    assert not folder.exists()


def test_a_temporary_workdir_goes_away_unclosed():
    device = LocalDevice()
    folder = Path(device.workdir())
    del device
    assert not folder.exists()


def test_a_chosen_workdir_stays(tmp_path):
    with LocalDevice(tmp_path / "made" / "here") as device:
        device.push(Path(__file__), PurePosixPath("file.py"))
        assert device.workdir() == PurePosixPath(tmp_path / "made" / "here")
    assert (tmp_path / "made" / "here" / "file.py").read_bytes() == Path(__file__).read_bytes()


def test_nothing_is_made_before_it_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    LocalDevice().close()
    assert list(tmp_path.iterdir()) == []


def test_a_workdir_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="work folder cannot be made"):
        LocalDevice(tmp_path / "file" / "below").workdir()


def test_this_process_s_variables_are_there_and_can_be_changed(monkeypatch):
    monkeypatch.setenv("EDGEOPT_PROBE", "from here")
    code = ["python3", "-c", "import os; print(os.environ['EDGEOPT_PROBE'])"]
    with LocalDevice() as device:
        assert device.run(code).stdout == "from here\n"
        assert device.run(code, env={"EDGEOPT_PROBE": "changed"}).stdout == "changed\n"
    assert os.environ["EDGEOPT_PROBE"] == "from here"


def test_its_facts_are_this_machine_s():
    with LocalDevice() as device:
        facts = device.facts()
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["arch"] in {"x86_64", "aarch64"}
    assert 64 < facts["memory_mb"] < 2**24
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    assert facts["governor"] == (governor.read_text().strip() if governor.exists() else None)


def test_importing_it_imports_no_torch():
    code = (
        "import sys, edgeopt.devices.local, edgeopt.devices.emulated; print('torch' in sys.modules)"
    )
    with LocalDevice() as device:
        assert device.run(["python3", "-c", code]).stdout == "False\n"
