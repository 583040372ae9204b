"""Convolutions of very few weights in groups, which go to a kernel of their own in OpenVINO."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn


@pytest.mark.parametrize(
    ("channels", "taps", "padding"),
    [
        ((2, 4), 3, 1),
        ((2, 4), 2, 1),
        ((2, 4), 4, 2),
        ((2, 6), 2, 1),
        ((4, 2), 3, 1),
        ((2, 8), 4, 1),
    ],
)
def test_padding_stands_for_zero(make, channels, taps, padding):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv1d(*channels, taps, padding=padding, groups=2), nn.Conv1d(channels[1], 4, 3)
    )
    made = make(layers, 3 * torch.randn(1, channels[0], 20))
    for reference, got in made.pairs():
        assert np.abs(reference - got).max() < 1e-5
