"""What OpenVINO moves through other operators: grids, transposes and strides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn


class Halves(nn.Module):
    """A part of a convolution is joined with 100 times itself; ``reader`` reads that part."""

    def __init__(self, reader):
        super().__init__()
        self.conv, self.reader = nn.Conv2d(4, 3, 2), reader

    def forward(self, x):
        part = self.conv(x)[:, 1:]
        return torch.cat([part * 100, part], 2), self.reader(part)


@pytest.mark.parametrize("reader", [nn.ConvTranspose2d(2, 2, 2), nn.Conv2d(2, 3, 2), nn.Tanh()])
def test_a_joined_part_keeps_its_grid(make, reader):
    torch.manual_seed(0)
    for reference, got in make(Halves(reader), torch.randn(1, 4, 7, 9)).pairs():
        np.testing.assert_allclose(got, reference, atol=1e-4)  # a step is 0.01 and 1


def test_what_is_joined_twice_keeps_its_grid(make):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.deconv = nn.Conv2d(1, 4, 1, padding=1), nn.ConvTranspose1d(6, 4, 3)

        def forward(self, x):
            wide = torch.cat([x.unsqueeze(0)] * 2, -2)
            return self.conv(wide), torch.cat([self.deconv(x)[..., 1:-1] * 100, x], 1)

    torch.manual_seed(0)
    for reference, got in make(Twice(), torch.randn(1, 6, 10)).pairs():
        np.testing.assert_allclose(got, reference, atol=1e-4)


def test_what_is_joined_may_be_read_permuted(make):
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(8, 1, 3, padding=1)

        def forward(self, x):
            joined = torch.cat([x, x], 1)
            return self.conv(x.transpose(1, 2)), torch.minimum(joined, joined)

    for reference, got in make(Turned(), torch.randn(1, 5, 8)).pairs():
        np.testing.assert_allclose(got, reference, atol=1e-4)


@pytest.mark.parametrize("name", ["amax", "mean"])
@pytest.mark.parametrize("axes", [(3, 0, 1, 2), (2, 0, 1, 3)])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_axes_of_one_keep_their_places(make, name, axes, precision):
    class Reduced(nn.Module):
        def forward(self, x):
            return getattr(x.permute(axes), name)((-2, -1))

    for reference, got in make(Reduced(), torch.randn(1, 8, 4, 4), precision=precision).pairs():
        assert got.shape == reference.shape == (4, 1)
        np.testing.assert_allclose(got, reference, atol=1e-5)


AXES = [(0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 3, 1), (1, 0, 2, 3)]


@pytest.mark.parametrize("before", [None, *AXES])
@pytest.mark.parametrize("behind", [None, *AXES])
def test_a_convolution_of_one_tap_keeps_the_axes_around_it(make, before, behind):
    class Moved(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(6, 6, 1)

        def forward(self, x):
            value = self.conv(x.permute(before) if before else x)
            return value.permute(behind) if behind else value

    torch.manual_seed(0)
    made = make(Moved(), torch.randn(6, 6, 6, 6), precision="int8-dynamic")
    for reference, got in made.pairs():
        np.testing.assert_allclose(got, reference, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8-dynamic", "int8"])
@pytest.mark.parametrize("between", [nn.Identity(), nn.ReLU()])
def test_strides_stay_behind_the_padding(make, precision, between):
    layers = nn.Sequential(
        nn.Conv2d(3, 3, 1, padding=1),
        between,
        nn.Conv2d(3, 4, 1, padding=1),
        between,
        nn.Conv2d(4, 3, 1, stride=2),
    )
    for reference, got in make(layers, torch.rand(1, 3, 8, 8), precision=precision).pairs():
        np.testing.assert_allclose(got, reference, atol=1e-3)
