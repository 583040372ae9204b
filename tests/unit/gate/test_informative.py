"""Calibration data that says nothing is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeopt.contracts import Signature, TensorSpec
from edgeopt.gate.informative import beyond_half, calibration_doubts

ONE = Signature(inputs=(TensorSpec("x", (1, 3, 8, 8), "float32"),), outputs=())


def said(samples, checks=()):
    pairs = [[s] for s in samples], [[np.asarray(c)] for c in checks]
    return list(calibration_doubts(ONE, *pairs))


def pictures(count=8):
    chance = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, 8, 8, generator=chance) for _ in range(count)]


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ([torch.zeros(1, 3, 8, 8)] * 8, "all 8 calibration samples are zero"),
        (pictures(1) * 8, "all 8 calibration samples are the same"),
        ([torch.full((1, 3, 8, 8), float(i)) for i in range(8)], "one constant value"),
        ([p / 255 for p in pictures()], "divided by 255 twice"),
    ],
)
def test_what_says_nothing_is_named(samples, text):
    assert any(text in line for line in said(samples))


def test_values_far_outside_those_calibrated_are_named():
    assert any("check samples reach" in line for line in said(pictures(), [255 * pictures()[0]]))


def test_good_data_is_not_blamed():
    assert said(pictures(), [1.5 * pictures()[0]]) == []


def test_weights_beyond_float16_are_named():
    constants = {"w": torch.tensor([1e6]), "v": torch.tensor([6e4, torch.inf])}
    assert list(beyond_half(constants, ["v", "w"])) == [
        "w holds 1e+06; float16 ends at 65504: it is clipped"
    ]
