"""Integers keep their type, and shapes at the edge (none, zero, no batch) their numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.passes import run_core


class Function(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


INTEGERS = {
    "clamp": lambda i: i.clamp(0, 9),
    "clamp below": lambda i: i.clamp(min=2),
    "clamp above": lambda i: i.clamp_max(3) + 1,
    "relu": functional.relu,
    "relu6": functional.relu6,
    "hardtanh": lambda i: functional.hardtanh(i, -2, 3),
    "chain": lambda i: functional.relu(i).clamp(max=4),
    "real bounds": lambda i: i.clamp(0.5, 9),
    "real factors": lambda i: torch.baddbmm(i, i[..., :4], i, beta=2.6, alpha=0.7),
}
SHAPES = {
    "a slice of nothing": lambda x: torch.cat([x[..., 8:], x[..., :2]], -1),
    "a sum of nothing": lambda x: x[..., 2:2].sum(-1) + x.sum(-1),
    "zeros like": lambda x: torch.cat([x, x.new_zeros(x.shape), torch.ones_like(x)], -1),
    "zeros and ones in place": lambda x: torch.cat([(x + 1).zero_(), (x + 1).fill_(1.0)], -1),
    "avg_pool2d": lambda x: functional.avg_pool2d(x, 2, 1, 1),
    "max_pool2d": lambda x: functional.max_pool2d(x, 3, 2),
    "adaptive": lambda x: functional.adaptive_avg_pool2d(x, 4),
    "one number": lambda x: x.sum().sigmoid(),
}


def equal(function, x):
    program = run_core(capture_module(Function(function).eval(), (x,)))
    wanted = function(x)
    got = torch.from_numpy(ReferenceRunner(program)(x.numpy()))
    assert got.dtype is wanted.dtype
    assert got.shape == wanted.shape
    assert torch.allclose(got.double(), wanted.double(), atol=1e-6)
    return program


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
@pytest.mark.parametrize("name", INTEGERS)
def test_integers_stay_integers(name, dtype):
    program = equal(INTEGERS[name], torch.arange(-6, 14, dtype=dtype).reshape(1, 4, 5))
    assert all(n.target is not torch.ops.aten.relu.default for n in program.graph.nodes)


def test_powers_have_the_type_that_torch_gives_them():
    equal(torch.square, torch.tensor([True, False]))
    equal(lambda i: i**2.0, torch.tensor([2, -3]))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", [(3, 8, 8), (2, 8, 8)])
def test_shapes_at_the_edge(name, size):
    program = equal(SHAPES[name], torch.randn(size, generator=torch.Generator().manual_seed(0)))
    for node in program.graph.nodes:
        if node.op == "call_function":
            assert node.meta["val"].numel() > 0
        if "pool2d" in str(node.target):
            assert node.args[0].meta["val"].ndim == 4
