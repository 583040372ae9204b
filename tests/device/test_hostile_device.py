"""A device that does what it likes: each exchange ends, in time and in size, and so does what it ran."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgeopt.devices.ssh import SshDevice
from edgeopt.errors import DeviceError

sys.path.insert(0, str(Path(__file__).parent))  # what the command has as well

from hostile import BEHAVIOURS, hostile_device

pytestmark = pytest.mark.slow


@pytest.fixture
def hostile(ssh_server, tmp_path):
    """Yields a device that is honest until a program of it is replaced."""
    with hostile_device(ssh_server, tmp_path) as made:
        yield made


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_each_exchange_ends(hostile, behaviour):
    assert BEHAVIOURS[behaviour](hostile) < 25


def test_options_of_the_user_do_not_turn_off_the_check_of_host_keys(hostile, monkeypatch, tmp_path):
    device = hostile.device
    config = os.environ["EDGEOPT_SSH"]
    (tmp_path / "nobody").write_text("")
    off = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/nobody -o BatchMode=no"
    for words in (f"{config} {off}", f"{config} {off} -o StrictHostKeyChecking=accept-new"):
        monkeypatch.setenv("EDGEOPT_SSH", words)
        with SshDevice(device._ssh.name) as again, pytest.raises(DeviceError, match="host key"):
            again.about  # noqa: B018 (it connects)
    assert (tmp_path / "nobody").read_text() == ""


def test_a_command_that_is_none_is_said(hostile, monkeypatch):
    device = hostile.device
    monkeypatch.setenv("EDGEOPT_SSH", "ssh -F 'file")
    with SshDevice(device._ssh.name) as again, pytest.raises(DeviceError, match="no command"):
        again.about  # noqa: B018 (it connects)
