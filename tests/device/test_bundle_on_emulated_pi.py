"""The runner on an emulated Raspberry Pi 4: what it needs is installed there, and it runs."""

from __future__ import annotations

import numpy as np
import pytest

from edgeopt.bundles import write_bundle
from edgeopt.contracts import Wheel
from edgeopt.devices import find_device
from edgeopt.measure import PlacedBundle
from edgeopt.registry import find_target
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime


@pytest.mark.qemu
@pytest.mark.slow
def test_a_bundle_installs_what_it_needs_and_runs(tmp_path):
    artifact = toy_artifact(target="rpi4")
    runtime = toy_runtime(wheels=(Wheel("numpy", "1.26.4", ("3.11",)),))
    bundle = write_bundle(
        artifact,
        runtime,
        find_target("rpi4"),
        path=tmp_path / "toy.zip",
        golden=toy_golden(artifact),
    )
    with find_device("emulated:aarch64:cortex-a72") as device:
        placed = PlacedBundle.push(bundle, device)
        verification = placed.verify()
        assert verification.ok, str(verification)
        x = np.array([[1, 2, 3, 4]], np.float32)
        (first,), (second,) = placed.run([[x], [x + 1]])
        np.testing.assert_array_equal(first, x * 2)
        np.testing.assert_array_equal(second, x * 2 + 2)
        profile = placed.profile(runs=5)
    assert profile.emulated
    assert profile.latency_ms is None
    assert profile.facts["device"]["machine"] == "aarch64"
    assert profile.facts["device"]["numpy"] == "1.26.4"
    assert " ms" not in str(profile)
