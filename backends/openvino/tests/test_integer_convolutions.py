"""Convolutions in int8, and what stands around them: padding, transposition, channels that change places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn


@pytest.mark.parametrize(
    ("kernel", "stride", "more"),
    [
        ((3, 1), 2, {}),
        ((1, 1), (3, 2), {"output_padding": (1, 1)}),
        ((2, 1), (2, 3), {"padding": (1, 0)}),
        ((3, 1), 2, {"groups": 2}),
    ],
)
def test_a_transposed_convolution_leaves_gaps_where_its_kernel_does_not_reach(
    make, kernel, stride, more
):
    """Behind a softmax, whose grid has no zero point to hinder integers."""
    layer = nn.ConvTranspose2d(2, 4, kernel, stride, **more)
    made = make(nn.Sequential(nn.Softmax(3), layer), torch.randn(2, 2, 4, 3), weight_bits=7)
    assert made.worst() < 1e-3


@pytest.mark.parametrize("kernel", [(2, 2), (1, 5)])
def test_a_transposed_convolution_whose_padding_is_wider_than_its_kernel_does_not_saturate(
    make, kernel
):
    class Cropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.ConvTranspose2d(4, 4, kernel, padding=2)
            nn.init.uniform_(self.layer.weight, 0.9, 1.0)

        def forward(self, x):
            return self.layer((x.abs() + 1).log())

    assert make(Cropped(), 5 * torch.randn(1, 4, 7, 9)).worst() < 1e-3


def test_a_pad_along_an_axis_of_one_adds_zeros(make):
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return nn.functional.pad(self.layer(x), (1, 2))

    assert make(Padded(), torch.randn(2, 3, 3, 2)).worst() < 1e-3


def test_a_pad_behind_a_float_operator_on_integers_has_its_own_number(make):
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv1d(1, 3, 1)

        def forward(self, x):
            return nn.functional.pad(-self.convolution(x), (0, 1), value=0.5)

    assert make(Padded(), torch.randn(1, 1, 5), weight_bits=7).worst() < 1e-3


@pytest.mark.parametrize("precision", ["int8-dynamic", "float16"])
@pytest.mark.parametrize(
    "more",
    [
        {"dilation": 2, "padding": 2},
        {"stride": 2, "padding": 2},
        {"stride": 2},
        {"padding": 1, "groups": 2},
    ],
)
def test_a_convolution_of_one_tap_keeps_padding_and_stride(make, precision, more):
    layers = nn.Sequential(nn.Conv2d(4, 2, 1, **more), nn.Flatten(1))
    made = make(layers, torch.randn(1, 4, 7, 9), precision=precision)
    for wanted, got in made.pairs():
        np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_a_convolution_of_one_tap_keeps_a_pad_in_front_of_it(make):
    layers = nn.Sequential(nn.ZeroPad2d((2, 2, 1, 2)), nn.Conv2d(2, 4, 1), nn.Flatten(1))
    made = make(layers, torch.randn(1, 2, 5, 5), precision="int8-dynamic")
    for wanted, got in made.pairs():
        np.testing.assert_allclose(got, wanted, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_channels_change_places_between_convolutions(make, precision):
    """OpenVINO's own passes move the inverse of the permutation into the second one's weights."""

    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 8, 3), nn.Conv2d(8, 4, 3)

        def forward(self, x):
            x = torch.relu(self.first(x))
            return self.second(x.index_select(1, torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])))

    made = make(Shuffled(), torch.randn(1, 4, 8, 8), precision=precision, weight_bits=7)
    assert made.worst() < 1e-3


def test_columns_are_chosen_of_joined_channels_of_unlike_scales(make):
    """OpenVINO's own passes end the process where they move such scales behind the choice."""

    class Chosen(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 2, 2, stride=2)

        def forward(self, x):
            x = self.convolution(x)
            return torch.cat([x * 100, x], 1).index_select(3, torch.tensor([2, 0, 3]))

    assert make(Chosen(), 5 * torch.randn(1, 3, 8, 8), weight_bits=7).worst() < 1e-3


@pytest.mark.parametrize("shape", [(1, 16, 40), (1, 16, 8, 40)], ids=str)
def test_long_kernels_of_each_of_16_channels_compile(make, shape):
    """OpenVINO's own kernel for them is compiled without an end."""
    ranks = {3: nn.Conv1d, 4: nn.Conv2d}
    ahead = (0,) if len(shape) == 4 else ()
    kernel, padding = (*(1 for _ in ahead), 15), (*ahead, 7)
    deep = ranks[len(shape)](16, 16, kernel, padding=padding, groups=16)
    assert make(nn.Sequential(deep, nn.ReLU()), torch.randn(shape)).worst() < 1e-3
