"""Attention on integers, and linears that round their input: the reference's numbers, in the forms that are fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.deployment.choose import choose_precision
from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.options import CompileOptions, QuantizationConfig
from edgeopt.passes import run_core
from edgeopt.quantization import quantize_program
from edgeopt.registry.target_registry import find_target
from edgeopt_openvino import OpenVINOBackend
from edgeopt_openvino.passes import OF_BYTES, ROUND_GROUPS

if TYPE_CHECKING:
    from edgeopt.contracts import Target


class Attention(nn.Module):
    """Self-attention between two linears; ``form`` says how it is written."""

    def __init__(self, form, heads=2, width=8):
        super().__init__()
        self.form, self.heads, self.width = form, heads, width
        self.qkv = nn.Linear(heads * width, 3 * heads * width)
        self.out = nn.Linear(heads * width, heads * width)
        hidden = torch.zeros(6, 6, dtype=torch.bool)
        hidden[:, 4:] = True
        hidden[2] = True  # a row that sees nothing
        self.register_buffer("seen", ~hidden)
        self.register_buffer("bias", torch.randn(6, 6))

    def forward(self, x):
        if "apart" in self.form:
            parts = [
                p.unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in self.qkv(x).chunk(3, -1)
            ]
        else:
            parts = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = self.mixed(*parts)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def mixed(self, q, k, v):
        if "spelled" in self.form:
            return torch.softmax(q @ k.transpose(-2, -1) * 0.3 + self.bias, -1) @ v
        settings = {
            "plain": {},
            "apart": {},
            "causal": {"is_causal": True},
            "mask": {"attn_mask": self.seen},
            "bias": {"attn_mask": self.bias, "scale": 0.2},
        }[self.form]
        return functional.scaled_dot_product_attention(q, k, v, **settings)


FORMS = ["plain", "apart", "causal", "mask", "bias", "spelled", "spelled apart"]


@pytest.mark.parametrize("width", [8, 64, 72])
@pytest.mark.parametrize("form", FORMS)
def test_attention_gives_the_numbers_of_the_reference(make, form, width):
    made = make(Attention(form, width=width), torch.randn(2, 6, 2 * width), on="host")
    step = float(made.program.quant[made.program.output_names[0]].scale[0])
    for wanted, got in made.pairs():
        off = np.abs(wanted - got) / step
        assert off.max() < 1.01  # a softmax's last bits turn a tie now and then
        assert (off > 0.5).mean() < 0.02


class Grouped(nn.Module):
    """Four heads of queries, two of keys and values."""

    def __init__(self, scale=None):
        super().__init__()
        self.scale = scale
        self.q, self.kv, self.out = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (4, 8)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (4, 8)).transpose(1, 2).chunk(2, 1)
        y = functional.scaled_dot_product_attention(q, k, v, scale=self.scale, enable_gqa=True)
        return self.out(y.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("scale", [None, 0.0])
@pytest.mark.parametrize("target", ["host", "generic-x86-64-v3"])
def test_heads_that_share_keys_and_a_scale_of_nothing(make, scale, target):
    made = make(Grouped(scale), torch.randn(2, 6, 32), on=target)
    step = float(made.program.quant[made.program.output_names[0]].scale[0])
    for wanted, got in made.pairs():
        assert np.abs(wanted - got).max() < 1.01 * step


def with_isa(*features):
    """Returns a target whose processor has ``features`` beside those of the plain one."""

    plain = find_target("generic-x86-64-v3")
    cpu = msgspec.structs.replace(plain.cpu, isa=(*plain.cpu.isa, *features))
    quantization = msgspec.structs.replace(plain.quantization, weight_bits=8)
    return msgspec.structs.replace(plain, cpu=cpu, quantization=quantization)


def operators_of(program, target: Target):
    backend = OpenVINOBackend()
    return [o.get_type_name() for o in backend.lower(program, target).model.model.get_ops()]


def test_queries_and_keys_are_multiplied_as_integers_where_products_do_not_saturate(make):
    made = make(Attention("plain", width=64), torch.randn(1, 6, 128))
    factors = next(n for n in made.program.graph.nodes if "scaled_dot" in n.name).args[:2]
    assert [int(made.program.quant[f.name].zero_point[0]) for f in factors] == [0, 0]
    whole = "ScaledDotProductAttention"
    assert whole not in operators_of(made.program, with_isa("avx512_vnni"))
    assert whole in operators_of(made.program, find_target("generic-x86-64-v3"))


class Mixer(nn.Module):
    """Linears along both axes; of one output, and of rows shorter than a group."""

    def __init__(self):
        super().__init__()
        self.tokens, self.back = nn.Linear(33, 64), nn.Linear(64, 33)
        self.channels, self.one = nn.Linear(40, 30), nn.Linear(30, 5)
        self.single = nn.Linear(40, 1)

    def forward(self, x):
        mixed = self.back(self.tokens(x.transpose(1, 2)).relu()).transpose(1, 2) + x
        return self.one(functional.gelu(self.channels(mixed))), self.single(x), self.channels(x)


def test_linears_round_their_input_as_the_reference_does(make):
    made = make(Mixer(), torch.randn(2, 33, 40), precision="int8-dynamic", on="host")
    for wanted, got in made.pairs():
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("features", "rounds"),
    [((), 0), (("avx512_vnni",), 4), (("avx_vnni",), 0), (("avx512_vnni", "amx_int8"), 0)],
)
def test_which_processors_round_and_which_linears(make, features, rounds):
    program = make(Mixer(), torch.randn(2, 33, 40), precision="int8-dynamic").program
    backend, target = OpenVINOBackend(), with_isa(*features)
    lowered = backend.lower(program, target)
    assert sum(n.target is ROUND_GROUPS for n in lowered.program.graph.nodes) == rounds
    config = backend.compile(lowered, CompileOptions()).metadata["config"]
    assert config["DYNAMIC_QUANTIZATION_GROUP_SIZE"] == str(OF_BYTES if rounds else 0)


@pytest.mark.parametrize(
    ("features", "says"), [((), "not faster"), (("avx512_vnni",), "smaller and faster")]
)
def test_the_plan_says_whether_dynamic_is_faster(features, says):
    program = run_core(capture_module(Mixer().eval(), (torch.randn(2, 33, 40),)))
    precision, why = choose_precision(OpenVINOBackend(), with_isa(*features), program=program)
    assert precision == "int8-dynamic"
    assert says in why


def test_a_group_of_zeros_is_zeros():
    x = torch.zeros(2, OF_BYTES + 3)
    x[1, -1] = 4.0
    assert torch.equal(ROUND_GROUPS(x, OF_BYTES), x)


def test_groups_round_for_themselves():
    x = torch.cat([torch.full((1, OF_BYTES), 1e-3), torch.full((1, 5), 1e3)], 1)
    assert torch.allclose(ROUND_GROUPS(x, OF_BYTES), x)
    ends = torch.tensor([[127.0, 0.4, -0.6] + [0.0] * (OF_BYTES - 3)])
    assert ROUND_GROUPS(ends, OF_BYTES)[0, :3].tolist() == [127.0, 0.0, -1.0]


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("shared", ["query", "value", "both"])
def test_keys_that_others_read_too_are_turned_for_themselves(make, shared, precision):
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv1d(18, 24, 3), nn.Conv1d(18, 24, 3)

        def forward(self, x):
            key, other = self.first(x).permute(0, 2, 1), self.second(x).permute(0, 2, 1)
            query = other if shared == "value" else key
            value = other if shared == "query" else key
            return functional.scaled_dot_product_attention(query, key, value)

    for wanted, got in make(Pixels(), 2 * torch.randn(1, 18, 10), precision=precision).pairs():
        np.testing.assert_allclose(got, wanted, atol=1e-4)


class Padded(nn.Module):
    """Attention that sees the rows of a mask that is given, by a billion less for the others."""

    def __init__(self):
        super().__init__()
        self.heads = Attention("plain")

    def forward(self, x, mask):
        parts = self.heads.qkv(x).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        bias = ((1 - (mask > 0).float()) * -1e9)[:, None, None, :]
        mixed = functional.scaled_dot_product_attention(*parts, attn_mask=bias)
        return self.heads.out(mixed.transpose(1, 2).flatten(2))


def test_a_mask_of_minus_a_billion_leaves_the_scores_whole():
    x, mask = torch.randn(2, 6, 16), torch.tensor([[0, 0, 1, 1, 1, 1.0], [1] * 6])
    program = run_core(capture_module(Padded().eval(), (x, mask)))
    quantized = quantize_program(program, [(x, mask)], QuantizationConfig(rounding="nearest"))
    backend = OpenVINOBackend()
    lowered = backend.lower(quantized, with_isa("avx512_vnni"))
    runner = backend.load(backend.compile(lowered, CompileOptions()))
    wanted, got = (run(x.numpy(), mask.numpy()) for run in (ReferenceRunner(quantized), runner))
    runner.close()
    step = float(quantized.quant[quantized.output_names[0]].scale[0])
    assert np.abs(wanted - got).max() < 1.01 * step


@pytest.mark.parametrize("widths", [(32, 80), (64, 72), (8, 96)], ids=["80", "72", "96"])
def test_values_wider_than_the_kernel_on_bytes(make, widths):
    """Another process would have ended here."""

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            query, value = widths
            self.query, self.key = nn.Linear(32, 2 * query), nn.Linear(32, 2 * query)
            self.value, self.out = nn.Linear(32, 2 * value), nn.Linear(2 * value, 32)

        def forward(self, x):
            parts = (self.query(x), self.key(x), self.value(x))
            heads = [one.reshape(1, 9, 2, -1).transpose(1, 2) for one in parts]
            mixed = functional.scaled_dot_product_attention(*heads)
            return self.out(mixed.transpose(1, 2).flatten(2))

    for wanted, got in make(Wide(), torch.randn(1, 9, 32)).pairs():
        np.testing.assert_allclose(got, wanted, atol=1e-4)
