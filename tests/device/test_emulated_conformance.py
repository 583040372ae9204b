from __future__ import annotations

import pytest

from edgeopt.devices import EmulatedDevice
from edgeopt.testing import DeviceConformance

pytestmark = [pytest.mark.qemu, pytest.mark.slow]


class TestEmulated(DeviceConformance):
    @pytest.fixture
    def device(self, emulation):
        with EmulatedDevice() as device:
            yield device
