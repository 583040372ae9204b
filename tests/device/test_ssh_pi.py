"""A Pi over SSH, but for the hardware: a real sshd, whose Python is an emulated ARM's."""

from __future__ import annotations

import time

import pytest

import edgeopt
from edgeopt.devices import find_device
from edgeopt.devices.ssh import SshDevice
from edgeopt.registry import find_backend
from edgeopt.testing import DeviceConformance
from edgeopt.testing.specimens import specimen

pytestmark = [pytest.mark.qemu, pytest.mark.slow]


class TestArmOverSsh(DeviceConformance):
    @pytest.fixture
    def device(self, arm_sshd):
        with SshDevice(arm_sshd.spec) as device:
            yield device


def test_it_is_an_arm_machine_and_known_to_be_emulated(arm_sshd):
    with find_device(arm_sshd.spec) as device:
        facts = device.facts()
        assert device.arch == "aarch64"
        assert device.emulated
    assert facts["cpu"] == "Cortex-A72"
    assert facts["emulator"].startswith("qemu-aarch64")
    assert "neon" in facts["isa"]


@pytest.mark.skipif(
    find_backend("tflite").available() is not None,
    reason="NOT CHECKED: pip install 'edgeopt[tflite]'",
)
def test_deploy_to_a_pi_over_ssh(arm_sshd, tmp_path):
    held = specimen("residual")
    deployed = edgeopt.deploy(
        held.model,
        "rpi4",
        example_inputs=held.example,
        calibration_data=held.samples,
        device=arm_sshd.spec,
        output=tmp_path / "bundle",
    )
    assert deployed.profile.device == arm_sshd.spec
    assert deployed.profile.label == "emulated"
    assert deployed.profile.latency_ms is None
    work = arm_sshd.home / ".cache" / "edgeopt-device"
    assert [p.name for p in (work / "bundles").iterdir()] == [deployed.bundle.digest[:16]]
    assert list((work / "jobs").iterdir()) == []
    assert list((work / "scratch").iterdir()) == []
    with find_device(arm_sshd.spec) as device:
        remote = device.workdir() / "bundles" / deployed.bundle.digest[:16]
        device.push(tmp_path / "bundle", remote)
        begun = time.perf_counter()
        device.push(tmp_path / "bundle", remote)
        assert time.perf_counter() - begun < 5
