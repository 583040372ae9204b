"""Guards of a device's scripts: they end the script, and never another process with its number."""

from __future__ import annotations

import subprocess
import time

import pytest

from edgeopt.devices.shell import Frame


@pytest.fixture
def victim():
    """Yields a process that leads a group of its own."""
    with subprocess.Popen(["/bin/sh", "-c", "exec sleep 60"], start_new_session=True) as process:
        yield process
        process.kill()


def guarded(body):
    """Runs a script whose guard fires after a second."""
    script = Frame().around(body, limit_s=1)
    command = ["sh", "-c", script]
    return subprocess.run(
        command, check=False, capture_output=True, timeout=30, start_new_session=True
    )


def renamed(number, since):
    """Returns a script whose guard believes that the script is process ``number``, born ``since``."""
    return f"script={number}; {since}; guard 'exec sleep 0.1'; sleep 0.5; end done 0"


def test_a_guard_ends_a_script_that_takes_too_long():
    begun = time.monotonic()
    assert guarded("sleep 20").returncode == -9
    assert time.monotonic() - begun < 15


def test_a_number_that_is_another_process_by_now_is_left_alone(victim):
    assert guarded(renamed(victim.pid, "since=1")).returncode == 0
    assert victim.poll() is None


def test_the_process_that_was_meant_is_ended(victim):
    assert guarded(renamed(victim.pid, f"born {victim.pid}; since=$b")).returncode == 0
    assert victim.wait(10) == -9
