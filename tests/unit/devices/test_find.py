from __future__ import annotations

import pytest

from edgeopt.devices import LocalDevice, find_device
from edgeopt.devices import emulated as emulated_module
from edgeopt.devices.qemu import emulator
from edgeopt.errors import DeviceError
from edgeopt.progress import progress_to, report_progress
from edgeopt.testing import ScriptedDevice


@pytest.fixture
def emulators(monkeypatch, tmp_path):
    """Lets any core be emulated, as far as finding a device goes."""
    monkeypatch.setattr(emulated_module, "emulator", lambda arch, core: (tmp_path, "qemu 0"))


@pytest.mark.parametrize("spec", ["local", "host", " local "])
def test_this_machine(spec):
    assert isinstance(find_device(spec), LocalDevice)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("emulated", "emulated:aarch64:cortex-a72"),
        ("emulated:aarch64", "emulated:aarch64:cortex-a72"),
        ("emulated:aarch64:cortex-a53", "emulated:aarch64:cortex-a53"),
        ("emulated:armv7", "emulated:armv7:cortex-a7"),
        ("emulated::cortex-a76", "emulated:aarch64:cortex-a76"),
    ],
)
def test_emulated_ones(emulators, spec, name):
    device = find_device(spec)
    assert device.name == name
    assert device.emulated


def test_who_listens_where_it_is_found_is_told_of_its_root(emulators, monkeypatch):
    def make(arch):
        report_progress(f"sysroot of {arch}", 0, 3)

    monkeypatch.setattr(emulated_module, "cached_sysroot", make)
    stages, others = [], []
    found = find_device("emulated:armv7", progress=lambda stage, *_: stages.append(stage))
    anyone = find_device("emulated:riscv64")
    with progress_to(lambda stage, *_: others.append(stage)):
        found.sysroot  # noqa: B018 (made when it is first read)
        anyone.sysroot  # noqa: B018
    assert stages == ["sysroot of armv7"]
    assert others == ["sysroot of riscv64"]


@pytest.mark.parametrize(
    ("spec", "arguments", "work"),
    [
        ("ssh://pi@raspberrypi.local", ["-l", "pi", "--", "raspberrypi.local"], ""),
        ("ssh://My_Alias", ["--", "My_Alias"], ""),
        ("ssh://pi@[fe80::1%eth0]:2222", ["-p", "2222", "-l", "pi", "--", "fe80::1%eth0"], ""),
        ("ssh://pi@host/srv/two words/$(x)/", ["-l", "pi", "--", "host"], "/srv/two words/$(x)"),
    ],
)
def test_ones_behind_ssh(spec, arguments, work):
    device = find_device(spec)
    assert device.name == spec
    assert device.address.arguments == arguments
    assert device.address.work == work


def test_a_device_passes_through():
    device = ScriptedDevice()
    assert find_device(device) is device


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("ssh:raspberrypi", "write ssh://user@host"),
        ("ssh://-oProxyCommand=touch owned", "is no host"),
        ("ssh://pi;ls@raspberrypi", "is no user"),
        ("ssh://pi@raspberrypi:99999", "is no port"),
        ("adb:a;b", "is no serial number"),
        ("lokal", 'did you mean "local"'),
        ("emulatd", 'did you mean "emulated"'),
        ("toaster", "emulated:ARCH:CORE"),
        ("", "emulated:ARCH:CORE"),
        ("local:2", "local"),
        (42, "is no device"),
        (None, "is no device"),
    ],
)
def test_what_is_no_device_says_what_there_is(spec, says):
    with pytest.raises(DeviceError) as caught:
        find_device(spec)
    assert says in str(caught.value)


def test_no_qemu_says_what_to_type(monkeypatch, tmp_path):
    emulator.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="apt-get install qemu-user-static"):
        find_device("emulated")


def test_an_architecture_that_cannot_be_emulated():
    with pytest.raises(DeviceError, match="aarch64"):
        find_device("emulated:arch64")
    with pytest.raises(DeviceError, match='"sparc" cannot be emulated'):
        find_device("emulated:sparc")
