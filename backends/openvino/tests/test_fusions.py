"""What OpenVINO joins to one operator, and would compute otherwise then."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional


def largest_error(made):
    """Returns the largest difference from the reference, as a share of its largest number."""
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in made.pairs())


class Weighted(nn.Module):
    """A convolution of what is multiplied by a number of its own everywhere, or along an axis."""

    def __init__(self, factor, conv, divides=False):
        super().__init__()
        self.register_buffer("factor", torch.rand(factor) + 0.5)
        self.conv, self.divides = conv, divides

    def forward(self, x):
        return self.conv(x / self.factor if self.divides else x * self.factor)


@pytest.mark.parametrize("divides", [False, True])
@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("factor", [(1, 1, 3, 3), (3, 3), (1, 8, 3, 1), (1, 1, 1, 3), (1, 8, 1, 1)])
def test_a_factor_of_every_pixel_is_none_of_the_kernel(make, factor, groups, divides):
    conv = nn.Conv2d(8, 8, 3, padding=1, groups=groups)
    made = make(Weighted(factor, conv, divides), torch.randn(1, 8, 3, 3), precision="float32")
    assert largest_error(made) < 1e-5


def test_a_factor_along_a_signal_is_none_of_the_kernel(make):
    conv = nn.Conv1d(8, 4, 5, padding=2)
    made = make(Weighted((1, 1, 5), conv), torch.randn(1, 8, 5), precision="float32")
    assert largest_error(made) < 1e-5


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_means_of_unlike_windows_before_a_convolution(make, precision):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(8, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True))

    made = make(Pooled(), torch.randn(1, 8, 4, 4), precision=precision)
    assert largest_error(made) < 1e-5


class Shifted(nn.Module):
    """A weighted operator whose result has the same range beside another zero when it is shifted."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x) + 0.5


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_a_constant_beside_a_grid_is_added_before_it_is_rounded(make, kind):
    """Where both zeros are rounded apart, each integer becomes another; one of these networks shows it."""
    for seed in range(6, 12):
        torch.manual_seed(seed)
        layer = nn.Linear(6, 4) if kind == "linear" else nn.Conv2d(6, 4, 1)
        example = torch.randn(1, 1, 9, 6) if kind == "linear" else torch.randn(1, 6, 9, 1)
        assert largest_error(make(Shifted(layer), example, count=20)) < 1e-5


@pytest.mark.parametrize("rounds", [torch.floor, lambda y: y >= 1, lambda y: y == 1])
def test_a_hard_sigmoid_reaches_one(make, rounds):
    class Ramp(nn.Module):
        def forward(self, x):
            return rounds(functional.hardsigmoid(x)).float()

    made = make(Ramp(), 4 * torch.randn(1, 2, 5, 9), precision="float32")
    for wanted, got in made.pairs():
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["gt", "ge", "lt", "le", "eq", "ne"])
@pytest.mark.parametrize("swapped", [False, True])
def test_comparisons_with_nan_choose_as_torch(make, name, swapped):
    class Chosen(nn.Module):
        def forward(self, x, y):
            ratio = x.log()  # NaN below 0
            pair = (y, ratio) if swapped else (ratio, y)
            return torch.where(getattr(torch, name)(*pair), y + 10, y * 2)

    made = make(Chosen(), torch.randn(4, 4), torch.randn(4, 4), precision="float32")
    for wanted, got in made.pairs():
        np.testing.assert_array_equal(got, wanted)
