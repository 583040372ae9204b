"""A network of PyTorch, deployed to an emulated microcontroller: the gate's machinery works on it as on any device."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.measure import OperatorCounts

pytestmark = [pytest.mark.qemu, pytest.mark.slow]


def test_a_network_is_deployed_verified_and_counted(m3, model_of):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    samples = [torch.randn(1, 1, 10, 10) for _ in range(16)]
    deployment = edgeopt.deploy(
        model.eval(),
        target="generic-cortex-m4f",
        backend="micro",
        example_inputs=(samples[0],),
        calibration_data=samples,
        device="emulated",
    )
    assert deployment.profile.instructions > 4 * 16 * 9
    assert deployment.profile.latency is None
    counts = edgeopt.profile_operators(deployment.bundle, device="emulated")
    assert isinstance(counts, OperatorCounts)
    assert {"aten.conv2d.default", "aten.linear.default"} <= {o.operator for o in counts.operators}
    served = model_of(deployment.bundle.artifact())
    assert served.self_test() == 0
