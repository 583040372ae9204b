"""Activations of 16 bits, of all values or of some: to the integer as the reference has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as f

from edgeopt.ir import ReferenceRunner, kernel_kind
from edgeopt.options import Override
from edgeopt_tvm.operators.weighted import weighted_operator_of

pytestmark = pytest.mark.slow


def of_several_sizes(seed):
    """A chain of convolutions of random shapes, and inputs for it."""
    rng = np.random.default_rng(seed)
    channels, layers = int(rng.integers(1, 9)), []
    first = channels
    for _ in range(3):
        groups = int(rng.choice([1, 1, channels]))
        out = int(rng.integers(1, 30)) if groups == 1 else groups * int(rng.integers(1, 3))
        kernel, stride, dilation = (int(rng.integers(1, end)) for end in (4, 3, 3))
        padding = int(rng.integers(0, 3))
        layers += [
            nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups),
            nn.ReLU() if rng.integers(2) else nn.Hardtanh(-0.4, 0.5),
        ]
        channels = out
    layers.append(nn.ConvTranspose2d(channels, 5, 3, 2, 1))
    return nn.Sequential(*layers), torch.randn(int(rng.integers(1, 3)), first, 31, 29)


@pytest.mark.parametrize("seed", range(6))
def test_convolutions_of_any_shape(make, seed):
    torch.manual_seed(seed)
    model, x = of_several_sizes(seed)
    made = make(model, x, precision="int16x8", count=2)
    assert {s.storage.name for s in made.program.quant.values() if s.is_activation} == {"int16"}
    made.require_equal()


def positive(layer):
    """A layer whose weights all add up, so that its sums are as large as they can be."""
    nn.init.uniform_(layer.weight, 0.5, 1.0)
    return layer


DEEP = {
    "linear": (lambda: nn.Linear(3000, 21), (2, 3000), 5),
    "convolution": (lambda: nn.Conv2d(150, 17, 3, padding=1), (1, 150, 5, 4), 2),
    "pointwise": (lambda: nn.Conv2d(1500, 16, 1), (1, 1500, 3, 3), 3),
    "transposed": (lambda: nn.ConvTranspose2d(300, 6, 2, 2), (1, 300, 4, 4), 1),
    "taps": (lambda: nn.Conv2d(2, 4, (29, 30)), (1, 2, 31, 32), 1),
    "depthwise": (lambda: nn.Conv2d(4, 4, (29, 30), groups=4), (1, 4, 31, 32), 1),
    "grouped": (lambda: nn.Conv2d(300, 8, 3, groups=2), (1, 300, 4, 4), 1),
}


@pytest.mark.parametrize("name", DEEP)
def test_sums_beyond_32_bits(make, name):
    layer, shape, parts = DEEP[name]
    made = make(positive(layer()), torch.rand(*shape) + 0.5, precision="int16x8", count=2)
    node = next(n for n in made.program.graph.nodes if "conv" in n.name or "linear" in n.name)
    operator = weighted_operator_of(made.emitter, node)
    if name != "transposed":  # its weight lies the other way round
        assert operator.is_deep
        assert parts == 1 or len(operator.parts) == parts
    made.require_equal()


def test_deep_sums_of_8_bits_are_right_too(make):
    made = make(positive(nn.Linear(70_000, 3)), torch.rand(1, 70_000) + 0.5, count=2)
    made.require_equal()


def test_means_of_more_than_32_bits(make):
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    made = make(model, torch.rand(1, 2, 300, 310) + 4, precision="int16x8", count=2)
    made.require_equal()


class Mixed(nn.Module):
    """A residual sum, a concatenation, pools and means, whose values may have 8 bits or 16."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 1)
        self.deep, self.head = nn.Conv2d(10, 10, 3, groups=10), nn.Linear(10, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = x + self.body(x)
        x = torch.cat([self.left(x), f.max_pool2d(self.right(x), 3, 1, 1)], 1)
        x = f.hardswish(self.deep(f.avg_pool2d(f.pad(x, (1, 0, 0, 1)), 2)))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize(
    "wide",
    [
        ("x",),
        ("body",),
        ("stem", "body", "add*"),
        ("right",),
        ("left", "cat*"),
        ("deep", "mean*"),
        ("avg_pool*", "linear*"),
        ("conv2d*",),
    ],
    ids=" ".join,
)
def test_values_of_8_and_16_bits_in_one_program(make, wide):
    overrides = {pattern: Override(bits=16) for pattern in wide}
    made = make(Mixed(), torch.randn(1, 3, 10, 9), count=2, overrides=overrides)
    stored = {s.storage.name for s in made.program.quant.values() if s.is_activation}
    assert stored == {"int8", "int16"}
    made.require_equal()


@pytest.mark.parametrize("wide", [("conv2d",), ("sigmoid",), ("tanh",), ("x", "mul")], ids=" ".join)
def test_tables_are_for_8_bits_in(make, wide):
    """A function of 8 bits is a table of 256 numbers of any type, and exact; one of 16 is no table."""
    model = Curves(nn.Conv2d(3, 4, 1))
    overrides = {pattern: Override(bits=16) for pattern in wide}
    made = make(model, torch.randn(1, 3, 10, 9), count=2, overrides=overrides)
    made.require_equal()
    kinds = {
        n.name: made.emitter.runs_as(n, kernel_kind(made.program, n)).kind
        for n in made.program.graph.nodes
        if n.op == "call_function"
    }
    of_16_bits = "conv2d" in wide
    assert kinds["sigmoid"] == kinds["tanh"] == ("float" if of_16_bits else "integer")
    assert kinds["conv2d"] == kinds["mul"] == "integer"


class Curves(nn.Module):
    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        x = self.conv(x)
        return torch.sigmoid(x) * torch.tanh(x)


@pytest.mark.parametrize(
    "function", [f.hardswish, f.leaky_relu, f.relu6, torch.neg], ids=lambda one: one.__name__
)
def test_functions_of_torch_s_own_operations_are_exact(make, function):
    class One(nn.Module):
        def forward(self, x):
            return function(x)

    made = make(One(), 3 * torch.randn(1, 3, 90, 91), precision="int16x8", count=2)
    for sample in made.samples:
        (got,) = made.run(*sample)
        np.testing.assert_array_equal(got, ReferenceRunner(made.program)(*sample))
