"""Emulated 32-bit Arm and RISC-V: other machines, whose programs run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import edgeopt
from edgeopt.devices import find_device
from edgeopt.errors import DeviceError
from edgeopt.measure import PlacedBundle
from edgeopt.registry import find_backend
from edgeopt.testing import DeviceConformance
from edgeopt.testing.specimens import specimen

pytestmark = [pytest.mark.qemu, pytest.mark.slow]

KINDS = {"armv7": ("armv7l", 4, "neon"), "riscv64": ("riscv64", 8, "d")}


def opened(arch):
    """Returns the device; skips where the package sources have no such Linux."""
    device = find_device(f"emulated:{arch}")
    try:
        device.run(["python3", "-c", "pass"])
    except DeviceError as error:
        if "the package sources of this machine give no" not in str(error):
            raise
        pytest.skip(
            f"NOT TESTED ON {arch.upper()}: {error.what}; EDGEOPT_APT_SOURCES may name some"
        )
    return device


class TestArmv7(DeviceConformance):
    @pytest.fixture
    def device(self, emulation):
        with opened("armv7") as device:
            yield device


@pytest.mark.parametrize("arch", KINDS)
def test_it_is_that_machine(emulation, arch):
    machine, size, feature = KINDS[arch]
    code = "import json, platform, struct; print(json.dumps([platform.machine(), struct.calcsize('P')]))"
    with opened(arch) as device:
        assert json.loads(device.run(["python3", "-c", code]).stdout) == [machine, size]
        facts = device.facts()
        assert device.arch == arch
    assert facts["arch"] == arch
    assert feature in facts["isa"]
    assert facts["memory_mb"] is None


@pytest.mark.skipif(
    find_backend("tvm").available() is not None, reason="NOT CHECKED: pip install 'edgeopt[tvm]'"
)
@pytest.mark.parametrize("arch", KINDS)
def test_a_native_program_computes_what_the_reference_does(emulation, arch, tmp_path):
    opened(arch).close()
    held = specimen("residual")
    deployed = edgeopt.deploy(
        held.model,
        f"generic-{arch}",
        backend="tvm",
        example_inputs=held.example,
        calibration_data=held.samples,
        checks=edgeopt.Checks(speed=False),
        device=f"emulated:{arch}",
        output=tmp_path / "bundle",
    )
    assert deployed.parity.where.startswith(f"emulated:{arch}")
    assert deployed.parity.ok
    assert deployed.profile.label == "emulated"


class Sums(torch.nn.Module):
    def forward(self, x, total):
        total = total + x
        return {"y": total * 2.0, "total": total}


@pytest.mark.skipif(
    find_backend("tvm").available() is not None, reason="NOT CHECKED: pip install 'edgeopt[tvm]'"
)
def test_a_native_program_keeps_state(emulation):
    states = {"total": "total"}
    method = edgeopt.Method(
        Sums().eval(), (torch.zeros(1, 4), torch.ones(1, 4)), reads=states, writes=states
    )
    done = edgeopt.deploy(
        method, "generic-armv7", backend="tvm", precision="float32", checks={"speed": False}
    )
    xs = np.arange(12, dtype=np.float32).reshape(3, 1, 4)
    with opened("armv7") as device:
        placed = PlacedBundle.push(done.bundle, device)
        assert placed.verify().ok
        outputs = placed.play([(x,) for x in xs])
    np.testing.assert_array_equal(np.stack([y for (y,) in outputs]), 2 + 2 * np.cumsum(xs, 0))
