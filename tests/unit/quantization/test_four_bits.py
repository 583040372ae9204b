"""Weights of 4 bits and fewer in groups: which get how many, the least squared error, and what data are good for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.api import capture
from edgeopt.contracts.storage import INT2, INT3, INT4, INT8
from edgeopt.errors import ConfigError, InputError
from edgeopt.ir import ReferenceRunner
from edgeopt.options import Override, QuantizationConfig
from edgeopt.quantization import quantize_program
from edgeopt.quantization.few_bits import fitted_spec, fitting_group

WIDE = 256


class Net(nn.Module):
    """Linears of inputs that groups divide in different ways, a convolution, and a weight with two readers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(1, 4, 3, padding=1)
        self.wide, self.even = nn.Linear(WIDE, 96), nn.Linear(96, 100)
        self.odd, self.small = nn.Linear(100, 16), nn.Linear(16, 96, bias=False)

    def forward(self, x):
        x = x + self.conv(x.unsqueeze(1)).mean(1)
        y = self.odd(torch.tanh(self.even(torch.tanh(self.wide(x)))))
        return self.small(y) + (self.wide.weight * x[:1]).sum(1)


def _data(count, seed=0):
    """Returns inputs whose numbers hang together, as those inside of networks do."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(WIDE, WIDE, generator=torch.Generator().manual_seed(9))
    mix *= torch.logspace(0, -2, WIDE)[:, None]
    return [torch.randn(64, WIDE, generator=generator) @ mix for _ in range(count)]


DATA, NEW = _data(12), _data(4, seed=1)


@pytest.fixture(scope="module")
def program():
    return capture(Net().eval(), DATA[0])


@pytest.fixture(scope="module")
def deep():
    torch.manual_seed(0)
    layers = [nn.Linear(WIDE, WIDE), nn.ReLU(), nn.Linear(WIDE, 128), nn.ReLU(), nn.Linear(128, 64)]
    for layer in layers[::2]:
        layer.weight.data = (
            layer.weight.data.sign() * layer.weight.data.abs() ** 3 * WIDE
        )  # few are large
    return capture(nn.Sequential(*layers).eval(), DATA[0])


def quantized(program, data=None, **settings):
    settings = {"precision": "int4-dynamic", **settings}
    return quantize_program(program, data, QuantizationConfig(**settings))


def error(program, other):
    exact, rounded = ReferenceRunner(program), ReferenceRunner(other)
    pairs = [(exact(x.numpy()), rounded(x.numpy())) for x in NEW]
    return sum(float(((a - b) ** 2).sum()) for a, b in pairs)


def test_each_weight_gets_the_group_that_divides_it_and_says_why_where_none_does(program):
    result = quantized(program, weight_group=64)
    specs = {n.removeprefix("p_"): s for n, s in result.quant.items()}
    assert (specs["even_weight"].storage, specs["even_weight"].group) == (INT4, 32)
    assert (specs["odd_weight"].storage, specs["odd_weight"].group) == (INT8, None)
    assert specs["conv_weight"].storage == INT8
    assert specs["wide_weight"].storage == INT8  # a product reads it too
    why = result.history[-1].effect["eight_bits"]
    assert "100 inputs are no multiple of 32" in why["p_odd_weight"]
    assert "another operator" in why["p_wide_weight"]
    assert "convolution" in why["p_conv_weight"]
    assert result.history[-1].effect["bits"] == {"4": 2, "8": 3}


@pytest.mark.parametrize(
    ("inputs", "asked", "group"),
    [(384, 128, 128), (384, 64, 64), (96, 128, 32), (100, 128, None), (16, 64, 16), (100, 0, 100)],
)
def test_the_group_is_the_most_that_divides_the_inputs(inputs, asked, group):
    assert fitting_group(inputs, asked) == group


def test_the_step_is_that_of_least_squared_error():
    torch.manual_seed(0)
    weight = torch.randn(3, 64)
    for affine in (False, True):
        spec = fitted_spec(weight, bits=4, group=32, affine=affine)
        best = (spec.fake(weight) - weight).square().sum()
        for factor in (0.9, 0.97, 1.03, 1.1):
            other = type(spec)(
                spec.storage, spec.scale * factor, spec.zero_point, 0, 4, group=spec.group
            )
            assert (other.fake(weight) - weight).square().sum() > best


def test_zero_points_help_weights_that_are_on_one_side():
    weight = torch.rand(4, 64) + 0.5
    errors = [
        float(
            (fitted_spec(weight, bits=4, group=32, affine=a).fake(weight) - weight).square().sum()
        )
        for a in (False, True)
    ]
    assert errors[1] < errors[0] / 2


def test_what_an_input_weighs_decides_what_is_clipped():
    weight = torch.randn(1, 32)
    weight[0, 3] = 20.0
    weights = torch.ones(32)
    plain = fitted_spec(weight, bits=4).fake(weight)
    weights[3] = 0.0
    heavy = fitted_spec(weight, bits=4, importance=weights).fake(weight)
    others = [i for i in range(32) if i != 3]
    assert (heavy - weight)[0, others].abs().sum() < (plain - weight)[0, others].abs().sum() / 2


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("bits", "group"), [(4, 64), (4, 0), (3, 32), (2, 32)])
def test_data_halve_what_rounding_costs(deep, bits, group, zeros):
    settings = {"weight_bits": bits, "weight_group": group, "weight_zeros": zeros}
    nearest = quantized(deep, **settings)
    solved = quantized(deep, DATA, **settings)
    assert solved.history[-1].effect["solved"] == 3
    assert error(deep, solved) < error(deep, nearest) / 2
    assert {s.storage.bits for s in solved.quant.values()} == {bits}


def test_smaller_groups_and_more_bits_cost_less(deep):
    by_group = [error(deep, quantized(deep, weight_group=g)) for g in (0, 64, 32)]
    by_bits = [error(deep, quantized(deep, weight_bits=b)) for b in (2, 3, 4)]
    assert by_group == sorted(by_group, reverse=True)
    assert by_bits == sorted(by_bits, reverse=True)


def test_nearest_looks_at_no_data(deep):
    assert (
        quantized(deep, DATA, rounding="nearest").digest
        == quantized(deep, rounding="nearest").digest
    )


def test_single_layers_keep_eight_bits(deep):
    result = quantized(deep, DATA, overrides={"2": Override(weight_bits=8)})
    assert [result.quant[f"p_{i}_weight"].storage for i in (0, 2, 4)] == [INT4, INT8, INT4]
    assert result.history[-1].effect["eight_bits"] == {"p_2_weight": "asked for by overrides"}
    result = quantized(deep, overrides={"*": Override(weight_bits=2)})
    assert {s.storage for s in result.quant.values()} == {INT2}


def test_four_bits_are_about_half_of_eight_and_two_a_quarter(deep):
    eight = quantized(deep, precision="int8-dynamic").size_bytes
    four, two = (quantized(deep, weight_bits=b, weight_group=0).size_bytes for b in (4, 2))
    biases = 4 * (WIDE + 128 + 64)
    assert (eight - biases) / (four - biases) == 2
    assert (eight - biases) / (two - biases) == 4


@pytest.mark.parametrize("settings", [{"weight_group": 32}, {"weight_zeros": True}], ids=str)
def test_groups_are_refused_where_the_precision_has_none(deep, settings):
    for precision in ("int8", "int8-dynamic"):
        with pytest.raises(InputError, match="one step a channel"):
            quantize_program(deep, DATA, QuantizationConfig(precision=precision, **settings))


def test_eight_bits_are_no_four():
    with pytest.raises(ConfigError, match="2 to 4 bits"):
        QuantizationConfig(precision="int4-dynamic", weight_bits=8)


def test_static_weights_of_few_bits_have_least_squared_steps(deep):
    for bits, storage in ((4, INT4), (3, INT3)):
        result = quantize_program(deep, DATA, QuantizationConfig(weight_bits=bits))
        spec = result.quant["p_0_weight"]
        assert (spec.storage, spec.granularity, spec.method) == (
            storage,
            "channel",
            "least squares",
        )
