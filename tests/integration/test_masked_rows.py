"""Rows of attention that see nothing are 0 on every backend, as in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.gate.metrics import snr_db
from edgeopt.registry import find_target

BACKENDS = ("tflite", "openvino", "tvm")
LENGTH = 6
TRIANGLE = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()


def needs(name):
    info = edgeopt.backends().get(name)
    ready = info is not None and info.load().available() is None
    reason = f"NOT CHECKED: pip install 'edgeopt[{name}]'"
    return pytest.param(name, marks=pytest.mark.skipif(not ready, reason=reason))


def seen(ids):
    return (ids != 0)[:, None, None, :] & TRIANGLE


def constant(_):
    mask = TRIANGLE.clone()
    mask[2] = False
    return mask


def infinite(ids):
    return torch.where(seen(ids), 0.0, float("-inf"))


def lowest(ids):
    return torch.where(seen(ids), 0.0, torch.finfo(torch.float32).min)


MASKS = {
    "constant truth values": constant,
    "constant numbers": lambda ids: torch.zeros(LENGTH, LENGTH).masked_fill(
        ~constant(ids), float("-inf")
    ),
    "truth values": seen,
    "keys only": lambda ids: (ids != 0)[:, None, None, :],
    "-inf": infinite,
    "finfo.min": lowest,
}


class Attention(nn.Module):
    def __init__(self, mask):
        super().__init__()
        torch.manual_seed(0)
        self.mask = mask
        self.tokens = nn.Embedding(50, 16)
        self.parts = nn.ModuleList([nn.Linear(16, 16) for _ in range(4)])

    def forward(self, ids):
        x = self.tokens(ids)
        q, k, v = (p(x).reshape(1, LENGTH, 2, 8).transpose(1, 2) for p in self.parts[:3])
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, self.mask(ids))
        return self.parts[3](mixed.transpose(1, 2).reshape(1, LENGTH, 16)) + x


def sentences(count, padded):
    chance = torch.Generator().manual_seed(count)
    drawn = [torch.randint(1, 50, (1, LENGTH), generator=chance) for _ in range(count)]
    for at, ids in enumerate(drawn if padded else ()):
        ids[:, : LENGTH if at == 3 else 1 + at % 3] = 0
    return drawn


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("mask", list(MASKS))
@pytest.mark.parametrize("backend", [needs(name) for name in BACKENDS])
def test_left_padded_after_calibration_on_unpadded(backend, mask, precision):
    model = Attention(MASKS[mask]).eval()
    calibration = sentences(24, padded=False)
    program = edgeopt.capture(model, calibration[0])
    if precision == "int8":
        bits = find_target("host").quantization.weight_bits
        program = edgeopt.quantize(program, calibration, weight_bits=bits)
    runner = edgeopt.load(edgeopt.compile(program, "host", backend=backend))
    checks = sentences(12, padded=True)
    want = np.stack([model(ids).detach().numpy() for ids in checks])
    got = np.stack([runner(ids.numpy()) for ids in checks])
    assert np.isfinite(got).all()
    ratio = snr_db(float(np.square(want).sum()), float(np.square(want - got).sum()))
    assert ratio > (100 if precision == "float32" else 25)
