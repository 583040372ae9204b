"""What a check of a device says, from facts as boards give them."""

from __future__ import annotations

import json

import pytest

from edgeopt.devices import LocalDevice
from edgeopt.devices.check import check_device
from edgeopt.registry import find_target
from edgeopt.testing import ScriptedDevice

PI4 = {
    "arch": "aarch64",
    "board": "Raspberry Pi 4 Model B Rev 1.4",
    "isa": ["neon", "crc"],
    "cores": 4,
    "memory_mb": 3792,
    "glibc": "2.36",
    "python": "3.11.2",
    "governor": "ondemand",
    "temperature_c": {"cpu-thermal": 51.0},
}


def checked(target="", runtimes=None, **changes):
    device = ScriptedDevice("pi", facts={**PI4, **changes})
    if {**PI4, **changes}["python"]:
        device.expect("python3", "-c", "*", stdout=json.dumps(runtimes or {}))
    found = check_device(device, target)
    device.finish()
    return found, {one.what: one for one in found.findings}


def test_a_board_names_its_target():
    found, findings = checked()
    assert found.target == "rpi4"
    assert found.ok
    assert findings["architecture"].status == "ok"
    assert findings["governor"].status == "note"
    assert "scaling_governor" in findings["governor"].fix
    assert findings["temperature"].status == "ok"


def test_another_processor_is_wrong():
    found, findings = checked("nuc-n100")
    assert not found.ok
    assert "aarch64" in findings["architecture"].detail


def test_a_missing_instruction_is_named():
    found, findings = checked("rpi5")
    assert not found.ok
    assert "dotprod" in findings["instructions"].detail


def test_an_older_system_and_another_python():
    found, findings = checked(glibc="2.28", python="3.9.2")
    assert findings["glibc"].status == "wrong"
    assert findings["Python"].status == "note"
    assert not found.ok


def test_no_python_says_what_to_type():
    found, findings = checked(python=None)
    assert not found.ok
    assert findings["Python"].fix.startswith("sudo apt-get install python3.11")


def test_heat_and_little_memory_are_notes():
    found, findings = checked(temperature_c={"cpu": 84.0}, memory_mb=400, cores=1)
    assert found.ok
    assert [findings[k].status for k in ("temperature", "memory", "cores")] == ["note"] * 3


def test_an_unknown_board_is_compared_with_nothing():
    found, findings = checked(board="Some Board")
    assert found.target == ""
    assert set(findings) == {"governor", "temperature"}


@pytest.mark.parametrize("present", [True, False])
def test_what_the_runtime_needs(present):
    pytest.importorskip("edgeopt_tflite")
    from edgeopt.registry import find_backend

    wheels = find_backend("tflite").device_runtime(find_target("rpi4")).wheels
    runtimes = {wheel.name: wheel.version for wheel in wheels} if present else {}
    _, findings = checked(runtimes=runtimes)
    one = findings["runtime of tflite"]
    assert one.status == ("ok" if present else "note")
    assert present or all(wheel.requirement in one.fix for wheel in wheels)


def test_this_machine_says_what_it_has():
    with LocalDevice() as device:
        found = check_device(device)
    assert "numpy" in found.runtimes
