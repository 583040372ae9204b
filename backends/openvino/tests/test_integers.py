"""What OpenVINO makes of int8 programs: integer kernels that round where the program rounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn


class Residual(nn.Module):
    """Both sides of each add are convolutions or what they made: OpenVINO fuses the add."""

    def __init__(self, activation=None):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.one = nn.Conv2d(16, 16, 3, 1, 1)
        self.two = nn.Conv2d(16, 16, 1)
        self.deep = nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.activation = activation or nn.ReLU()
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x).relu()
        x = x + self.activation(self.one(x))
        x = x + self.two(self.deep(x).clamp(0, 6))
        return self.head(x.mean((2, 3)))


def test_convolutions_and_linears_run_as_integers(make):
    made = make(Residual(), torch.randn(1, 3, 16, 16))
    kernels = [(k, p) for k, p, _ in made.kernels() if k in ("Convolution", "FullyConnected")]
    assert len(kernels) == 5
    assert {p for _, p in kernels} <= {"u8", "i8"}


def test_an_add_joins_the_kernel_of_its_convolution_and_both_round(make):
    made = make(Residual(nn.Identity()), torch.randn(1, 3, 16, 16))
    taken = [names for kind, _, names in made.kernels() if kind == "Convolution"]
    assert any({"conv2d_3.grid", "add_1.grid"} <= set(names) for names in taken)
    assert made.worst() < 1e-3


def test_an_activation_in_front_of_an_add_rounds_too(make):
    assert make(Residual(nn.ReLU6()), torch.randn(1, 3, 16, 16)).worst() < 1e-3


def test_seven_bit_weights_use_seven_bits(make):
    made = make(Residual(), torch.randn(1, 3, 16, 16), weight_bits=7)
    assert made.worst() < 1e-3


def test_the_mean_of_four_rounds_ties_as_the_reference(make):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            self.head = nn.Conv2d(8, 4, 1)

        def forward(self, x):
            return self.head(nn.functional.avg_pool2d(self.conv(x).relu(), 2))

    assert make(Pooled(), torch.randn(1, 3, 16, 16)).worst() < 1e-3


def test_a_chain_of_concatenations_keeps_each_grid(make):
    """OpenVINO rounded all to the coarsest, where a convolution reads the first."""

    class Chained(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            first = torch.cat([x, x], 0)
            return torch.cat([first * 100, first], 1), self.conv(first)

    assert make(Chained(), torch.randn(2, 3, 6, 6)).worst() < 1e-3


def test_integers_go_on_behind_a_roll(make):
    class Rolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x):
            return self.second(torch.roll(self.first(x), (1, 2), (0, 1)).flip(1))

    made = make(Rolled(), torch.randn(4, 6, 16))
    kinds = [p for k, p, _ in made.kernels() if k == "FullyConnected"]
    assert len(kinds) == 2
    assert set(kinds) <= {"u8", "i8"}
    assert made.worst() < 1e-3


def test_a_deep_network_gives_the_same_integers(make):
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 12, 3, 2, 1)
            self.layers = nn.ModuleList(nn.Conv2d(12, 12, 3, 1, 1) for _ in range(24))

        def forward(self, x):
            x = self.stem(x).relu()
            for index, layer in enumerate(self.layers):
                x = x + layer(x) if index % 3 == 2 else layer(x).relu()
            return x

    made = make(Deep(), torch.randn(1, 3, 24, 24), count=3)
    assert made.worst() < 1e-3


def test_dynamic_linears_keep_their_float_input(make):
    made = make(
        nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 8)),
        torch.randn(2, 64),
        precision="int8-dynamic",
    )
    for wanted, got in made.pairs():
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    assert made.artifact.size_bytes < 4 * 64 * 64


def test_half_weights_are_stored_as_halves(make):
    made = make(nn.Linear(128, 64), torch.randn(1, 128), precision="float16")
    assert len(made.artifact.files["model.bin"]) < 2 * 128 * 64 + 1024
    for wanted, got in made.pairs():
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_int8_weights_are_stored_as_bytes(make):
    made = make(nn.Conv2d(64, 64, 3), torch.randn(1, 64, 8, 8))
    assert len(made.artifact.files["model.bin"]) < 64 * 64 * 9 + 4096


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 2, "ceil_mode": True},
        {"kernel_size": 640, "ceil_mode": True},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
        {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_average_pooling_counts_as_torch(make, settings, precision):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 1)
            self.pool = nn.AvgPool2d(**settings)
            self.head = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            return self.head(self.pool(self.conv(x)))

    made = make(Pooled(), torch.randn(1, 2, 5, 6), precision=precision)
    if precision == "int8":
        assert made.worst() < 1.01
    else:
        for wanted, got in made.pairs():
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("last", [nn.Identity(), nn.Sigmoid()], ids=["bare", "sigmoid"])
def test_a_linear_squeezed_to_no_axes_runs(make, last, precision):
    class Score(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.last = nn.Linear(8, 1), last

        def forward(self, x):
            return self.last(self.head(x).squeeze())

    made = make(Score(), torch.randn(1, 8), precision=precision)
    assert all(got.shape == () for _, got in made.pairs())
    assert made.worst() < (1e-4 if precision == "float32" else 1.01)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_negative_integers_divide_as_torch(make, dtype):
    class Divided(nn.Module):
        def forward(self, x, y):
            modes = [torch.div(x, y, rounding_mode=m) for m in ("floor", "trunc")]
            return x // y, x // -3, x % y, torch.fmod(x, y), *modes

    x = torch.tensor([-7, 7, -6, 6, -1, 5, 0, -8], dtype=dtype)
    y = torch.tensor([2, -2, 3, -3, 3, -7, 2, -8], dtype=dtype)
    runner = make(Divided(), x, y, precision="float32", count=0).runner
    for wanted, got in zip(Divided()(x, y), runner(x.numpy(), y.numpy()), strict=True):
        np.testing.assert_array_equal(got, wanted.numpy())


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_a_reduction_in_float_is_rounded_as_the_reference(make, name):
    class Reduced(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(getattr(x, name)(3, keepdim=True))

    made = make(Reduced(), torch.randn(1, 4, 7, 9))
    assert "u8" in {p for k, p, _ in made.kernels() if k == "Convolution"}
    assert made.worst() < 1e-3


@pytest.mark.parametrize(
    "product",
    [
        lambda q, k: q @ k.transpose(-1, -2),
        lambda q, k: nn.functional.scaled_dot_product_attention(q, k, k),
    ],
    ids=["matmul", "attention"],
)
def test_products_of_two_computed_values_do_not_saturate(make, product):
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
            for layer in (self.first, self.second):
                nn.init.eye_(layer.weight)
                nn.init.zeros_(layer.bias)

        def forward(self, x, y):  # all near -1 and 1: grids without a zero point, and large steps
            return product(self.first(torch.tanh(30 * x)), self.second(torch.tanh(30 * y)))

    made = make(Product(), torch.randn(4, 8, 8), torch.randn(4, 8, 8))
    assert made.worst() < 1e-3


def test_a_vector_keeps_its_rank(make):
    made = make(nn.Linear(3, 4), torch.randn(3))
    assert all(a.shape == b.shape == (4,) for a, b in made.pairs())


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.to(torch.int64) ** x.to(torch.int64).abs(), "powers of integers"),
    ],
)
def test_what_openvino_computes_otherwise_is_refused(function, reason):
    from edgeopt.api import capture
    from edgeopt.registry import find_backend, find_target

    class Model(nn.Module):
        def forward(self, x):
            return function(x)

    program = capture(Model().eval(), (torch.randn(3, 4),))
    report = find_backend("openvino").lower(program, find_target("host")).support
    assert any(reason in row.reason for row in report.unsupported)


class Jumping(nn.Module):
    """What tells 0 from next to 0, right behind a convolution and behind what carries its numbers on."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(4, 8, 1)

    def forward(self, x):
        x = self.convolution(x)
        low = x.amin(1, keepdim=True)
        return (
            (x > 0).float(),
            (x.amax(1) <= 0).float(),
            (-x).floor(),
            (low * 2).ceil(),
            low.abs().sqrt(),
        )


def test_zero_is_zero_to_what_tells_it_from_next_to_zero(make):
    made = make(Jumping(), torch.randn(1, 4, 30, 30), count=20, weight_bits=7)
    zeros = 0
    for wanted, got in made.pairs():
        assert np.abs(wanted - got).max() < 1e-5
        zeros += int((wanted == 0).sum())
    assert zeros


class Limited(nn.Module):
    """Limits between two steps of the grid, before a join and a mean."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        x = self.convolution(x)
        joined = torch.cat([x, x.clamp(-0.503, 0.207)], 1)
        return joined.exp(), joined.mean((2, 3))


def test_limits_between_two_steps_round_as_the_reference(make):
    assert make(Limited(), torch.randn(1, 3, 8, 8), weight_bits=7).worst() < 1e-3


def test_limits_between_two_steps_of_another_grid_round_as_the_reference(make):
    class Narrowed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            x = x * 30
            return self.layer(torch.cat([x, x.clamp(-3, 3).exp()], 2))

    assert make(Narrowed(), torch.randn(2, 3, 6, 6)).worst() < 1e-3


def test_a_product_whose_grid_cannot_be_moved_rounds_ties_as_the_reference(make):
    """Half of each odd integer is a tie, and the result shares its grid with what it is joined to."""

    class Halved(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            x = self.convolution(x)
            return torch.cat([x, x * 0.5], 1)

    assert make(Halved(), torch.randn(1, 3, 8, 8), weight_bits=7).worst() < 1e-3
