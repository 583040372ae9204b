from __future__ import annotations

import subprocess

import pytest

from edgeopt.contracts import Completed
from edgeopt.devices import LocalDevice
from edgeopt.testing import DeviceConformance

pytestmark = pytest.mark.slow


class TestLocal(DeviceConformance):
    @pytest.fixture
    def device(self):
        with LocalDevice() as device:
            yield device


class ThroughAShell(LocalDevice):
    """What a device must not be: it gives its commands to a shell."""

    def run(self, command, *, cwd=None, env=None, timeout_s=300.0):
        line = " ".join(self._argv(command, self.path(self.workdir())))
        done = subprocess.run(  # noqa: S602 (the point)
            line, shell=True, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
        )
        return Completed(done.returncode, done.stdout, done.stderr, 0.1)


class InPlace(LocalDevice):
    """What a device must not be: it writes under the final name."""

    def push(self, local, remote):
        target = self.path(remote)
        target.mkdir(parents=True)
        for file in sorted(local.rglob("*")):
            if file.is_file():
                (target / file.name).write_bytes(file.read_bytes())
        raise NotImplementedError


class Leaky(LocalDevice):
    """What a device must not be: it ends the program, but not what the program started."""

    def run(self, command, *, cwd=None, env=None, timeout_s=300.0):
        if timeout_s != 4:
            return super().run(command, cwd=cwd, env=env, timeout_s=timeout_s)
        argv = self._argv(command, self.path(cwd))
        with subprocess.Popen(argv, cwd=cwd, stdout=subprocess.DEVNULL) as process:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
        return super().run(["sleep", "60"], timeout_s=0.1)


def test_the_suite_notices_a_shell(tmp_path):
    with ThroughAShell() as device, pytest.raises((AssertionError, ValueError)):
        DeviceConformance().test_arguments_arrive_as_they_are(device, device.workdir())


def test_the_suite_notices_a_push_in_place(tmp_path):
    suite = DeviceConformance()
    with InPlace() as device, pytest.raises((AssertionError, NotImplementedError)):
        suite.test_a_push_that_fails_leaves_nothing_half_written(device, device.workdir(), tmp_path)
