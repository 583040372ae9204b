"""Two measurements on one machine: the second one waits, or says whose the first one is."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from edgeopt.devices import LocalDevice
from edgeopt.devices import lock as lock_module
from edgeopt.devices.lock import NAME, hold_machine, measuring
from edgeopt.errors import DeviceError
from edgeopt.testing import ScriptedDevice

HOLDS = """
import sys, time
from pathlib import Path
from edgeopt.devices.lock import hold_machine
with hold_machine("other", 5, Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Yields a process that holds the machine."""
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_it_is_free_again(tmp_path):
    for _ in range(2):
        with hold_machine("here", 0, tmp_path):
            pass


def test_another_process_is_named(other, tmp_path):
    said = f"process {other.pid}, since 20"
    with pytest.raises(DeviceError, match=said) as caught, hold_machine("here", 0.1, tmp_path):
        raise AssertionError("two at once")
    assert caught.value.where == "here"


def test_what_a_killed_process_held_is_free(other, tmp_path):
    other.kill()
    other.wait(30)
    with hold_machine("here", 5, tmp_path):
        pass


def test_a_file_that_says_nonsense_does_no_harm(tmp_path):
    (tmp_path / NAME).write_bytes(b"\xff{nonsense")
    with hold_machine("here", 0, tmp_path):
        said = json.loads((tmp_path / NAME).read_text())
    assert said["pid"] > 0


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / NAME).symlink_to(tmp_path / "precious")
    with pytest.raises(DeviceError), hold_machine("here", 0, tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "keep"


def test_threads_take_turns_and_one_may_nest(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "PLACES", (str(tmp_path),))
    monkeypatch.setattr(lock_module, "_PAUSE_S", 0.01)
    inside, most = [], []

    def measure(device):
        with measuring(device), measuring(device):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    with LocalDevice() as device:
        threads = [threading.Thread(target=measure, args=(device,), daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert most == [1, 1, 1, 1]


def test_a_device_that_cannot_be_held_is_not():
    with measuring(ScriptedDevice()):
        pass
