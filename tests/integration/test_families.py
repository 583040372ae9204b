"""Bundles of several shapes, methods and with state, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import GateError

BACKENDS = ["tflite", "openvino", "tvm"]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(self.body(x).mean((2, 3)))


class Adds(nn.Module):
    """What it computes grows with the length: at the longer one it leaves the range of the shorter."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x):
        return self.last(self.first(x).relu().sum(1))


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_ranges_hold_for_every_shape(backend):
    pytest.importorskip(f"edgeopt_{backend}")
    torch.manual_seed(0)
    model = Adds().eval()
    short, long = ([torch.randn(1, length, 8) for _ in range(40)] for length in (4, 48))
    options = {"backend": backend, "precision": "int8", "example_inputs": short[0],
               "shapes": {"examples": long[:1]}, "checks": {"speed": False}}  # fmt: skip
    with pytest.raises(GateError, match=r"inputs \[1, 48, 8\]"):
        edgeopt.deploy(model, "host", calibration_data=short, **options)
    done = edgeopt.deploy(model, "host", calibration_data=[*short, *long], **options)
    (other,) = done.programs
    assert other.parity.ok
    assert other.accuracy.snr_db > 25
    x = torch.randn(1, 48, 8)
    error = edgeopt.load(done.bundle)(x.numpy()) - model(x).detach().numpy()
    assert np.square(error).sum() < 0.01 * float(model(x).detach().square().sum())


class Listener(nn.Module):
    """A convolution that looks back, and a recurrent layer: both keep something."""

    def __init__(self):
        super().__init__()
        self.conv, self.cell = nn.Conv1d(8, 16, 3), nn.GRUCell(16, 24)
        self.last = nn.Linear(24, 2)

    def forward(self, x, recent, hidden):
        window = torch.cat([recent, x], 2)
        features = self.conv(window).relu().mean(2)
        hidden = self.cell(features, hidden)
        return {"y": self.last(hidden).sigmoid(), "recent": window[:, :, -2:], "hidden": hidden}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_several_shapes_share_weights_and_numbers(backend, precision, tmp_path):
    pytest.importorskip(f"edgeopt_{backend}")
    torch.manual_seed(0)
    model = Classifier().eval()
    data = [torch.randn(1, 3, 24, 24) for _ in range(24)]
    done = edgeopt.deploy(
        model,
        "host",
        backend=backend,
        precision=precision,
        example_inputs=data[0],
        calibration_data=data,
        shapes={"batches": (4,), "sizes": ("32x16",)},
        checks={"speed": False},
        device="local",
        output=tmp_path / "bundle",
    )
    assert all(program.parity.ok for program in done.programs)
    first = done.bundle.manifest.entry  # shared as differences, or one file holds all programs
    assert all(own.deltas or own.entry == first for own in done.bundle.manifest.variants)
    runner = edgeopt.load(done.bundle)
    rows = torch.cat(data[:6]).numpy()
    alone = np.concatenate([runner(row[None]) for row in rows])
    tolerance = 0.0 if precision == "int8" else 1e-5
    np.testing.assert_allclose(runner(rows), alone, atol=tolerance, rtol=tolerance)
    other = torch.randn(1, 3, 32, 16)
    expected = model(other).detach().numpy()
    assert np.abs(runner(other.numpy()) - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["int8", "int8-dynamic", "float32"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_state_goes_on_over_a_hundred_calls(backend, precision):
    pytest.importorskip(f"edgeopt_{backend}")
    torch.manual_seed(0)
    model = Listener().eval()
    start = (torch.zeros(1, 8, 4), torch.zeros(1, 8, 2), torch.zeros(1, 24))
    states = {"recent": "recent", "hidden": "hidden"}
    done = edgeopt.deploy(
        edgeopt.Method(model, start, reads=states, writes=states),
        "host",
        backend=backend,
        precision=precision,
        calibration_data=[torch.randn(60, 1, 8, 4) for _ in range(2)],
        checks={"speed": False},
        device="local",
    )
    runner, kept = edgeopt.load(done.bundle), start[1:]
    errors, total = 0.0, 0.0
    for x in torch.randn(100, 1, 8, 4):
        returned = model(x, *kept)
        kept = returned["recent"], returned["hidden"]
        expected = returned["y"].detach().numpy()
        errors += float(((runner(x.numpy()) - expected) ** 2).sum())
        total += float((expected**2).sum())
    assert errors < total * (1e-9 if precision == "float32" else 1e-2)
    assert done.streams.parity_db > 30
