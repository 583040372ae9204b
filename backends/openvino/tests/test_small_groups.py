"""Very small convolutions in groups, which go to a kernel of their own in OpenVINO."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn


@pytest.mark.parametrize(
    ("channels", "taps", "length", "settings"),
    [
        ((2, 4), 3, 20, {"padding": 1}),
        ((2, 4), 2, 20, {"padding": 1}),
        ((2, 4), 4, 20, {"padding": 2}),
        ((2, 6), 2, 20, {"padding": 1}),
        ((4, 2), 3, 20, {"padding": 1}),
        ((2, 8), 3, 8, {}),
        ((2, 8), 5, 8, {"stride": 2}),
        ((2, 4), 5, 8, {}),
    ],
)
def test_zero_is_zero(make, channels, taps, length, settings):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv1d(*channels, taps, groups=2, **settings), nn.Conv1d(channels[1], 4, 1)
    )
    made = make(layers, 3 * torch.randn(1, channels[0], length))
    for reference, got in made.pairs():
        assert np.abs(reference - got).max() < 1e-5
