"""Grids of the factors of products of two computed values: their zero point is 0 where that costs little."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.ir import capture_module
from edgeopt.ir.quant import QuantSpec
from edgeopt.options import QuantizationConfig
from edgeopt.passes import run_core
from edgeopt.quantization.pipeline import quantize_program
from edgeopt.quantization.products import without_zero_point


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-1.0, 0.8), (-0.7, 1.0)])
def test_a_grid_around_zero_reaches_as_far(low, high):
    spec = QuantSpec.affine(low, high, method="minmax")
    moved = without_zero_point(spec)
    assert int(moved.zero_point[0]) == 0
    assert moved.low <= spec.low * 0.999999
    assert moved.high >= spec.high * 0.999999
    assert 1.0 <= float(moved.scale[0] / spec.scale[0]) <= 2**0.5
    assert moved.method == "minmax"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.2, 1.0), (-1.0, 0.3)])
def test_one_that_would_lose_more_than_half_a_bit_stays(low, high):
    spec = QuantSpec.affine(low, high, method="minmax")
    assert without_zero_point(spec) is spec


class Attention(nn.Module):
    def __init__(self, spelled, positive):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.out = nn.Linear(8, 8)
        self.spelled, self.positive = spelled, positive

    def forward(self, x):
        keys = torch.relu(self.k(x)) if self.positive else self.k(x)
        parts = (self.q(x), keys, self.v(x))
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in parts)
        if self.spelled:
            mixed = torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.out(mixed.transpose(1, 2).flatten(2))


def quantized(model):
    torch.manual_seed(0)
    data = [torch.randn(1, 6, 8) for _ in range(8)]
    program = run_core(capture_module(model.eval(), (data[0],)))
    return quantize_program(program, data, QuantizationConfig(ranges="minmax"))


def factors(program):
    targets = (torch.ops.aten.scaled_dot_product_attention.default, torch.ops.aten.matmul.default)
    product = next(node for node in program.graph.nodes if node.target in targets)
    return [program.quant[factor.name] for factor in product.args[:2]]


@pytest.mark.parametrize("spelled", [False, True])
def test_queries_and_keys_have_no_zero_point(spelled):
    torch.manual_seed(0)
    assert [int(s.zero_point[0]) for s in factors(quantized(Attention(spelled, False)))] == [0, 0]


def test_keys_on_one_side_of_zero_keep_all_their_steps():
    torch.manual_seed(0)
    _, keys = factors(quantized(Attention(False, True)))
    assert int(keys.zero_point[0]) == -128


def test_values_that_no_product_multiplies_keep_theirs(residual):
    (one,) = residual.signature.inputs
    data = [torch.rand(one.shape) for _ in range(2)]
    changed = quantize_program(residual, data, QuantizationConfig(ranges="minmax"))
    assert any(int(s.zero_point[0]) for s in changed.quant.values() if s.is_activation)
