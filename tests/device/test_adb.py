"""The real ``adb``, and something that answers it as an Android device does (`adbd.py`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from edgeopt.devices.adb import AdbDevice
from edgeopt.errors import DeviceError
from edgeopt.testing import DeviceConformance

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adbd(beside, tmp_path_factory):
    """Yields the device; ``adb`` has a server of its own, which is ended afterwards."""
    if shutil.which("adb") is None:
        pytest.skip("NOT TESTED WITH ADB: it is missing (apt-get install adb)")
    folder = tmp_path_factory.mktemp("adb")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    device = beside("adbd").Adbd(f"{folder}/bin:/usr/bin:/bin")
    adb = ["adb", "-P", port]
    env = {**os.environ, "HOME": str(folder), "ANDROID_SDK_HOME": str(folder)}

    def call(*words):
        subprocess.run(
            [*adb, *words],
            env=env,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    call("start-server")
    call("connect", device.serial)
    device.work = str(folder / "work folder")
    device.reconnect = lambda: call("connect", device.serial)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEOPT_ADB", " ".join(adb))
        yield device
    call("kill-server")
    device.close()


@pytest.fixture
def device(adbd):
    with AdbDevice(adbd.serial, work=adbd.work) as device:
        yield device


class TestAdb(DeviceConformance):
    @pytest.fixture
    def device(self, adbd):
        with AdbDevice(adbd.serial, work=adbd.work) as device:
            yield device


def test_what_is_not_connected_says_what_to_type(adbd):
    with AdbDevice("nosuchserial") as device, pytest.raises(DeviceError) as caught:
        device.workdir()
    assert "not connected" in caught.value.what
    assert "adb devices" in caught.value.hint
    assert device.name == "adb:nosuchserial"


def test_a_cable_that_is_pulled_out_during_a_run(adbd, device):
    place = Path(device.workdir()) / "ticks"
    caught = []

    def run():
        try:
            device.run(["sh", "-c", f"while :; do echo . >>'{place}'; sleep 0.05; done"])
        except DeviceError as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not place.exists():
        assert time.monotonic() < deadline, "it does not run"
        time.sleep(0.02)
    adbd.cut()
    thread.join(60)
    assert "connection was lost" in str(caught[0])
    size = -1
    while size != (size := place.stat().st_size):
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.5)
    adbd.reconnect()
    assert device.run(["echo", "1"]).stdout == "1\n"
    assert list(Path(device.workdir(), "jobs").iterdir()) == []


def test_pushing_again_costs_little(device, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    device.push(tmp_path / "file", PurePosixPath("file"))
    begun = time.perf_counter()
    device.push(tmp_path / "file", PurePosixPath("file"))
    assert time.perf_counter() - begun < 3
