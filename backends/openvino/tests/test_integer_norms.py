"""Normalizations and attention beside integers: what OpenVINO makes one kernel of, and what it scales."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn


def test_a_normalization_of_small_numbers_keeps_its_epsilon(make):
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
            self.norm = nn.LayerNorm(32)
            nn.init.normal_(self.first.weight, std=1e-3)
            nn.init.zeros_(self.first.bias)

        def forward(self, x):
            return self.second(self.norm(self.first(x) + 1e-3 * x))

    assert make(Small(), torch.randn(1, 8, 32)).worst() < 1e-3


class NormBeside(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(2, 8)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)

    def forward(self, x):
        return self.norm(x) - torch.relu(x)


class PlainNormBeside(nn.Module):
    def forward(self, x):
        return nn.functional.instance_norm(x) / (x.abs() + 0.5)


class AttentionBeside(nn.Module):
    def forward(self, x):
        mixed = nn.functional.scaled_dot_product_attention(x, x, x)
        return torch.where(mixed > x.exp(), mixed, x)


class SpelledOutBeside(nn.Module):
    def forward(self, x):
        shares = torch.softmax(x @ x.transpose(-1, -2) * 0.3, -1)
        return torch.where((shares @ x).relu() > x.abs(), x, 2.0)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("module", [NormBeside, PlainNormBeside, AttentionBeside, SpelledOutBeside])
def test_a_kernel_of_several_operators_stands_beside_another(make, module, samples, precision):
    """OpenVINO's compiler ended the process."""
    made = make(module(), torch.randn(samples, 8, 6, 6), precision=precision)
    for wanted, got in made.pairs():
        np.testing.assert_allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 1, 16), 1),
        ((2, 5, 16), 1),
        ((2, 5, 16), (0, 2)),
        ((3, 5, 16), 0),
        ((1, 4, 5, 16), (1, 2)),
        ((1, 4, 5, 16), 2),
    ],
    ids=str,
)
def test_a_mean_in_front_of_a_norm_is_scaled_along_its_own_axis(make, shape, axes, precision):
    """As of tokens in front of a head (LeViT): OpenVINO multiplied by the constants of other channels."""

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(16, 16)
            count = torch.zeros(shape).mean(axes).shape[-1]
            self.scale, self.shift = nn.Parameter(torch.rand(count) + 0.5), torch.randn(count)
            self.last = nn.Linear(count, 4)

        def forward(self, x):
            return self.last(self.first(x).mean(axes) * self.scale + self.shift)

    made = make(Head(), torch.randn(shape), precision=precision)
    assert made.worst() < 1e-3
