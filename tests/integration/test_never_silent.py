"""What int8 loses in one channel is never silent: it is kept, warned of, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.gate.fidelity import output_fidelity
from edgeopt.gate.parity import run_all
from edgeopt.ir import ReferenceRunner

BACKENDS = ("tflite", "openvino", "tvm")


def needs(name):
    info = edgeopt.backends().get(name)
    ready = info is not None and info.load().available() is None
    reason = f"NOT CHECKED: pip install 'edgeopt[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(not ready, reason=reason))


class Head(nn.Module):
    """Boxes beside scores in one output, as detectors have them."""

    def __init__(self, act):
        super().__init__()
        self.box, self.cls, self.act = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 2, 1), act

    def forward(self, x):
        return self.act(self.box(x), self.cls(x))


class Loud(nn.Module):
    """One channel 300 times the others, in front of an activation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        with torch.no_grad():
            self.conv.weight[0] *= 300

    def forward(self, x):
        return nn.functional.hardswish(self.conv(x))


MODELS = {
    "sigmoid": lambda: Head(lambda b, c: torch.cat([b * 100, c.sigmoid()], 1)),
    "a row a sample": lambda: Head(lambda b, c: torch.cat([b * 100, c.sigmoid()], 1).mean((2, 3))),
    "logits": lambda: Head(lambda b, c: torch.cat([b.sigmoid() * 640, c.tanh()], 1)),
    "a dict": lambda: Head(lambda b, c: {"y": torch.cat([b * 100, c], 1), "seen": c > 0}),
    "loud": Loud,
    "difference": lambda: Head(lambda b, _: (b * 1000 + b.tanh()) - b * 1000),
}


@pytest.mark.parametrize("kind", list(MODELS))
@pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])
def test_int8_of_unlike_channels(kind, backend):
    torch.manual_seed(0)
    model, data = MODELS[kind]().eval(), [torch.randn(1, 3, 16, 16) for _ in range(48)]
    options = {"precision": "int8", "calibration_data": data, "checks": {"speed": False}}
    done = edgeopt.deploy(model, "host", backend=backend, example_inputs=data[0], **options)
    samples = [(torch.randn(1, 3, 16, 16).numpy(),) for _ in range(16)]
    program = edgeopt.capture(model, data[0])
    want, got = (
        run_all(runner, samples)
        for runner in (ReferenceRunner(program), edgeopt.load(done.bundle.path))
    )
    every = output_fidelity(program.signature, want, got, [None] * len(want[0]))
    lost = [s.what for one in every for s in one.shortfalls if s.grave]
    assert not lost or any("little is left" in warning for warning in done.warnings), lost
