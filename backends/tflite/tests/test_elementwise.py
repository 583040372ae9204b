"""Arithmetic, activations, comparisons: against torch, and against the integer grid."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

X = torch.randn(2, 4, 5, 3)
FLOAT = {
    "add": lambda x: x + x.flip(1),
    "add and relu": lambda x: torch.relu(x + x.flip(1)),
    "subtract a vector": lambda x: x - torch.arange(3.0),
    "multiply by a channel": lambda x: x * torch.arange(4.0).reshape(4, 1, 1),
    "broadcast both ways": lambda x: x[:, :1] * x[:, :, :1],
    "divide": lambda x: x / (x.abs() + 1),
    "divide by a number": lambda x: x / 3,
    "number minus": lambda x: 1 - x,
    "power": lambda x: (x.abs() + 0.5) ** 1.7,
    "square": lambda x: x**2,
    "reciprocal": lambda x: 1 / (x.abs() + 1),
    "maximum": lambda x: torch.maximum(x, -x.flip(0)),
    "minimum": lambda x: torch.minimum(x, torch.tensor(0.25)),
    "unary": lambda x: (
        torch.sin(x) + torch.cos(x) - x.abs().sqrt() + x.floor() + x.ceil() - x.sign()
    ),
    "logarithm": lambda x: (x.abs() + 0.1).log() + (x.abs() + 0.1).rsqrt() + (-x).exp(),
    "logarithm of one more": lambda x: x.abs().log1p(),
    "relu": torch.relu,
    "relu6": lambda x: functional.relu6(4 * x),
    "hardtanh": functional.hardtanh,
    "clamp": lambda x: x.clamp(-0.3, 0.8),
    "clamp 0 to 1": lambda x: x.clamp(0, 1),
    "leaky": lambda x: functional.leaky_relu(x, 0.2),
    "elu": functional.elu,
    "prelu": lambda x: functional.prelu(x, torch.tensor([0.1, 0.2, 0.3, 0.4])),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "softplus": functional.softplus,
    "mish": functional.mish,
    "where": lambda x: torch.where(x > 0.2, x, -2 * x),
    "where with logic": lambda x: torch.where((x > 0) & ~(x > 1) | (x < -1) ^ (x < -2), x, 0.0),
    "comparisons": lambda x: (
        (x >= 0).float() + (x <= 0.5).float() + (x != 0).float() + (x == 0).float()
    ),
    "masked fill": lambda x: x.masked_fill(x < 0, -5.0),
    "casts": lambda x: (x * 4).to(torch.int32).to(torch.float32),
}


@pytest.fixture(scope="module")
def together(compiled):
    """All functions as one model: capturing takes most of the time."""
    return compiled(lambda x: {name: function(x) for name, function in FLOAT.items()}, X)


@pytest.mark.parametrize("name", FLOAT)
def test_float(together, name):
    together.assert_close(2e-6 if "power" not in name else 1e-5, output=name)


def test_the_logarithm_of_one_more_keeps_the_digits_of_small_numbers(compiled):
    """And of each sign, and is -inf at -1, inf at inf."""
    x = torch.tensor(
        [[1e-30, 1e-9, -3e-8, 7e-8, 1e-5, -1e-3, 0.4, 0.6, 90.0, -1.0, torch.inf, 0.0]]
    )
    runner = compiled(torch.log1p, x).runner
    np.testing.assert_allclose(runner(x.numpy()), x.log1p().numpy(), rtol=1e-6)


TWO = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "add and relu": lambda a, b: torch.relu(a + b),
    "add and clamp": lambda a, b: (a + b).clamp(-0.7, 1.3),
}
ONE = {
    "add a channel": lambda x: x + torch.linspace(-1, 1, 8).reshape(8, 1, 1),
    "multiply by a channel": lambda x: x * torch.linspace(-1, 2, 8).reshape(8, 1, 1),
    "multiply by a number": lambda x: x * 0.37,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": functional.silu,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "leaky": lambda x: functional.leaky_relu(x, 0.1),
    "elu": functional.elu,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
}


BY_VALUE = ("leaky", "hardswish")
"""Written so that each of the 256 integers becomes what the reference says (`ops/exact.py`)."""


@pytest.mark.parametrize("name", TWO)
def test_integer_of_two(compiled, name):
    layers = {"a": nn.Conv2d(3, 8, 1), "b": nn.Conv2d(3, 8, 3, padding=1)}
    case = compiled(
        lambda m, x: TWO[name](m.a(x), m.b(x)), torch.randn(1, 3, 8, 8), precision="int8", **layers
    )
    case.assert_steps(1, share=0.01)
    assert case.count("DEQUANTIZE", "QUANTIZE") == 0


@pytest.mark.parametrize("name", ONE)
def test_integer_of_one(compiled, name):
    case = compiled(
        lambda m, x: ONE[name](m.a(x)), torch.randn(1, 3, 8, 8), precision="int8",
        a=nn.Conv2d(3, 8, 1),
    )  # fmt: skip
    if name in BY_VALUE:
        case.assert_steps(0)
    else:
        case.assert_steps(1, share=0.01)
        assert case.count("DEQUANTIZE", "QUANTIZE") == 0


@pytest.mark.parametrize("limits", [(0.0, None), (0.0, 6.0), (-0.4, 0.9), (-3.0, 0.5)])
def test_integer_clamp_of_a_value_with_other_readers(compiled, limits):
    def forward(m, x):
        y = m.a(x)
        return y.clamp(*limits), y

    case = compiled(forward, torch.randn(1, 3, 8, 8), precision="int8", a=nn.Conv2d(3, 8, 1))
    case.assert_steps(0)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_integers_of_the_model(compiled, kind):
    compiled(
        lambda a, b: (a + b, a * 2 - b, torch.where(a > b, a, b)),
        torch.zeros(2, 5, dtype=kind), torch.zeros(2, 5, dtype=kind),
    ).assert_close()  # fmt: skip


def test_bool_inputs_and_outputs(compiled):
    compiled(
        lambda x, mask: (torch.where(mask, x, 0.0), ~mask, mask & (x > 0)),
        torch.randn(2, 5), torch.zeros(2, 5, dtype=torch.bool),
    ).assert_close()  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64], ids=str)
def test_an_input_of_no_axes_is_filled(compiled, dtype):
    compiled(torch.add, torch.ones((), dtype=dtype), torch.ones(2, 3, dtype=dtype)).assert_close()


@pytest.mark.parametrize("kind", [torch.bool, torch.int64])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_mean_over_what_a_mask_leaves(compiled, kind, precision):
    def forward(m, x, mask):
        hidden, counted = m.a(x), mask.unsqueeze(-1)
        return (hidden * counted).sum(1) / counted.sum(1).clamp(min=1)

    case = compiled(
        forward, torch.randn(2, 6, 4), torch.ones(2, 6, dtype=kind), precision=precision,
        a=nn.Linear(4, 8),
    )  # fmt: skip
    case.assert_close(1e-5)
