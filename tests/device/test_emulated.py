from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import pytest

from edgeopt.devices import EmulatedDevice, find_device
from edgeopt.errors import DeviceError
from edgeopt.progress import progress_to

pytestmark = pytest.mark.qemu


@pytest.fixture(scope="module")
def device(emulation):
    with EmulatedDevice() as device:
        yield device


def test_it_is_another_machine(device):
    code = (
        "import json, platform, struct, sys; print(json.dumps([platform.machine(), "
        "platform.libc_ver()[0], struct.calcsize('P'), sys.byteorder]))"
    )
    done = device.run(["python3", "-c", code])
    assert json.loads(done.stdout) == ["aarch64", "glibc", 8, "little"]


def test_its_facts_are_the_core_s(device):
    facts = device.facts()
    assert facts["name"] == "emulated:aarch64:cortex-a72"
    assert facts["emulated"] is True
    assert facts["cpu"] == "cortex-a72"
    assert facts["isa"] == ["neon", "aes", "sha2", "crc"]
    assert facts["python"].startswith(f"{device.sysroot.python}.")
    assert facts["emulator"].startswith("qemu-aarch64 ")
    assert [facts[name] for name in ("governor", "clock_mhz", "temperature_c", "memory_mb")] == [
        None
    ] * 4


def test_another_core_has_other_features(emulation):
    with EmulatedDevice(mcpu="cortex-a76") as device:
        facts = device.facts()
    assert facts["cpu"] == "cortex-a76"
    assert {"dotprod", "fp16", "lse"} <= set(facts["isa"])


def test_a_core_that_qemu_lacks_is_named(emulation):
    with pytest.raises(DeviceError, match='did you mean "cortex-a72"'):
        find_device("emulated:aarch64:cortex-a72x")


def test_the_variables_of_this_process_are_not_there(device, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    monkeypatch.setenv("QEMU_CPU", "max")
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    done = device.run(["python3", "-c", code], env={"PYTHONHOME": "/nowhere"})
    assert done.returncode == 0
    assert done.stderr == ""
    there = json.loads(done.stdout)
    assert not {"PYTHONPATH", "LD_PRELOAD", "QEMU_CPU"} & set(there)
    assert there["HOME"] == str(device.workdir())


def test_python_needs_nothing_more_than_the_root(device):
    code = (
        "import asyncio, bz2, ctypes, decimal, hashlib, lzma, multiprocessing, sqlite3, ssl, sys, uuid\n"
        "print(hashlib.sha256(b'').hexdigest()[:8], sqlite3.sqlite_version_info > (3,), sys.prefix)"
    )
    done = device.run(["python3", "-c", code])
    assert done.stderr == ""
    assert done.stdout.split() == ["e3b0c442", "True", f"{device.sysroot.root}/usr"]


def test_using_it_leaves_its_root_as_it_was(device):
    before = _state(device.sysroot.root)
    device.run(
        ["python3", "-c", "import json, email.mime.text, unittest, xml.dom.minidom, tarfile"]
    )
    assert _state(device.sysroot.root) == before


def test_a_program_of_this_machine_is_refused(device):
    with pytest.raises(DeviceError, match="no aarch64 program"):
        device.run(["/usr/bin/env"])
    with pytest.raises(DeviceError, match="no such program"):
        device.run(["apt-get"])


def test_a_program_for_the_device_runs_from_where_it_was_pushed(device, tmp_path):
    device.push(device.sysroot.python_program, PurePosixPath("tools/my python"))
    done = device.run(["./tools/my python", "-c", "print(6 * 7)"])
    assert done.stdout == "42\n"
    assert device.run(["./my python", "-c", "pass"], cwd=PurePosixPath("tools")).returncode == 0


def test_a_crash_is_a_signal(device):
    code = "import ctypes; ctypes.string_at(0)"
    assert device.run(["python3", "-c", code]).returncode == -11


def test_what_has_no_wheel_for_it_is_named(device):
    with pytest.raises(DeviceError, match="there is no wheel of 'pywin32") as caught:
        device.install(["pywin32"], PurePosixPath("none"))
    assert caught.value.where == device.name
    assert not Path(device.workdir() / "none").exists()


@pytest.mark.slow
def test_it_is_made_from_nothing(emulation, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path / "cache"))
    stages = []
    with progress_to(lambda *told: stages.append(told)):
        emulated = EmulatedDevice()
    with emulated as device:  # its root is made when it is first needed
        assert device.run(["python3", "-c", "print(1)"]).stdout == "1\n"
        root = Path(device.sysroot.root)
        names = {package.name for package in device.sysroot.packages}
    assert root.is_relative_to(tmp_path / "cache" / "sysroots")
    assert [told[1:] for told in stages] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert {"libc6", "libstdc++6", f"python{device.sysroot.python}"} <= names
    assert sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) < 80 << 20
    assert not [
        p for p in root.rglob("*") if p.is_symlink() and not p.resolve().is_relative_to(root)
    ]


@pytest.mark.slow
def test_package_sources_without_the_architecture_say_so(emulation, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEOPT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "none.list").write_text("# nothing\n")
    monkeypatch.setenv("EDGEOPT_APT_SOURCES", str(tmp_path / "none.list"))
    with EmulatedDevice() as device, pytest.raises(DeviceError, match="no arm64 Python") as caught:
        device.run(["python3", "-c", "pass"])
    assert "EDGEOPT_APT_SOURCES" in str(caught.value)
    assert not [p for p in (tmp_path / "cache" / "sysroots").iterdir() if p.suffix != ".lock"]


def _state(root):
    return {path: path.lstat().st_mtime_ns for path in Path(root).rglob("*")}
