"""What every device promises, over a real SSH connection to this machine."""

from __future__ import annotations

import pytest

from edgeopt.devices.ssh import SshDevice
from edgeopt.testing import DeviceConformance

pytestmark = pytest.mark.slow


class TestSsh(DeviceConformance):
    @pytest.fixture
    def device(self, sshd):
        with SshDevice(sshd.spec) as device:
            yield device
