"""edgeopt.deploy to a Raspberry Pi 4, verified on an emulated one before the bundle is written."""

from __future__ import annotations

import pytest

import edgeopt
from edgeopt.registry import find_backend
from edgeopt.testing.specimens import specimen

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.slow,
    pytest.mark.skipif(
        find_backend("tflite").available() is not None,
        reason="NOT CHECKED: pip install 'edgeopt[tflite]'",
    ),
]


@pytest.fixture(scope="module")
def deployed(emulation, tmp_path_factory):
    held = specimen("residual")
    return edgeopt.deploy(
        held.model,
        "rpi4",
        example_inputs=held.example,
        calibration_data=held.samples,
        device="emulated",
        output=tmp_path_factory.mktemp("pi") / "bundle",
    )


def test_it_is_verified_on_the_core_of_the_target(deployed):
    assert deployed.profile.device == "emulated:aarch64:cortex-a72"
    assert deployed.bundle.manifest.golden.samples


def test_emulated_times_are_never_printed(deployed):
    assert deployed.profile.emulated
    assert deployed.profile.latency_ms is None
    (line,) = [value for what, value in deployed.rows() if what == "device"]
    assert "emulated" in line
    assert " ms" not in line
    assert deployed.to_dict()["profile"]["latency_ms"] is None


def test_the_host_is_not_called_the_target(deployed):
    (what,) = [what for what, _ in deployed.rows() if what.startswith("speed")]
    assert what == "speed (host, not the target)"
