"""The user's own devices: names, their file, and what happens to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from edgeopt.devices import EmulatedDevice, find_device
from edgeopt.devices.registry import (
    Known,
    add_device,
    known_devices,
    registry_file,
    remove_device,
)
from edgeopt.devices.ssh import SshDevice
from edgeopt.errors import DeviceError

NASTY = "pi; $(touch owned) 'x' \"y\" \\ ü 木 🦆"


@pytest.fixture(autouse=True)
def config(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_there_is_none_at_first():
    assert known_devices() == {}
    with pytest.raises(DeviceError, match="edgeopt devices add"):
        find_device("pi4")


def test_names_of_any_kind_come_back():
    held = {
        NASTY: Known("ssh://pi@kitchen:2222/srv/two words", "rpi4", "line\none\ttab\x7f"),
        "pi4": Known("ssh://pi@raspberrypi.local"),
    }
    for name, known in held.items():
        add_device(name, known)
    assert known_devices() == held
    assert tomllib.loads(registry_file().read_text())["devices"].keys() == held.keys()
    assert [p.name for p in registry_file().parent.iterdir() if "lock" not in p.name] == [
        "devices.toml"
    ]


def test_a_name_finds_its_device():
    add_device(NASTY, Known("ssh://pi@kitchen:2222"))
    device = find_device(NASTY)
    assert isinstance(device, SshDevice)
    assert device.name == NASTY
    assert device.address.port == 2222


def test_a_name_that_is_nearly_right():
    add_device("kitchen", Known("ssh://pi@kitchen"))
    with pytest.raises(DeviceError, match='did you mean "kitchen"'):
        find_device("kitchn")
    with pytest.raises(DeviceError, match='did you mean "kitchen"'):
        remove_device("kitchn")


def test_a_name_that_leads_nowhere_or_to_itself():
    add_device("loop", Known("loop"))
    with pytest.raises(DeviceError, match="'loop', which is no device"):
        find_device("loop")


@pytest.mark.parametrize(
    "name", ["", " x", "local", "emulated", "a,b", "ssh://x", "a/b", "-x", "a\nb", "this-process"]
)
def test_what_cannot_be_a_name(name):
    with pytest.raises(DeviceError, match="cannot be a device's name"):
        add_device(name, Known("local"))


def test_a_name_is_given_once():
    add_device("one", Known("local"))
    with pytest.raises(DeviceError, match="is local already"):
        add_device("one", Known("emulated"))
    add_device("one", Known("emulated"), replace=True)
    assert remove_device("one") == Known("emulated")
    assert known_devices() == {}


@pytest.mark.parametrize(
    "text", ["not toml", "[devices.x]\ndevice = 3\n", "[devices.x]\nhost='a'\n"]
)
def test_a_file_that_is_wrong_is_named_and_kept(text):
    registry_file().parent.mkdir(parents=True, exist_ok=True)
    registry_file().write_text(text)
    with pytest.raises(DeviceError) as caught:
        add_device("new", Known("local"))
    assert caught.value.where == str(registry_file())
    assert registry_file().read_text() == text


def test_two_processes_lose_nothing():
    code = (
        "import sys\nfrom edgeopt.devices.registry import Known, add_device\n"
        "for n in range(10): add_device(f'{sys.argv[1]}{n}', Known('local'))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, name], env=os.environ) for name in "abc"
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert len(known_devices()) == 30


def test_an_emulated_one_may_have_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr("edgeopt.devices.emulated.emulator", lambda arch, core: (tmp_path, "0"))
    add_device("old pi", Known("emulated:armv7"))
    assert isinstance(find_device("old pi"), EmulatedDevice)
