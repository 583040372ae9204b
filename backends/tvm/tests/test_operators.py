"""Operators, each written, scheduled and run on this machine, against torch and the reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as f

from edgeopt.ir import capture_module
from edgeopt.passes import run_core
from edgeopt.registry import find_target
from edgeopt_tvm.machine import machine_of

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow  # more than two hundred small programs, each compiled


class Calls(nn.Module):
    """A module that calls a function."""

    def __init__(self, function, *modules):
        super().__init__()
        self.function = function
        self.modules_ = nn.ModuleList(modules)

    def forward(self, *x):
        return self.function(*self.modules_, *x)


def image(*shape):
    return torch.randn(*(shape or (1, 3, 9, 10)))


CONVOLUTIONS = {
    "plain": lambda: nn.Conv2d(3, 8, 3),
    "odd_channels": lambda: nn.Conv2d(3, 7, 3, padding=1),
    "strided": lambda: nn.Conv2d(3, 16, 3, 2, 1),
    "different_strides": lambda: nn.Conv2d(3, 5, (3, 1), (1, 2), (1, 0)),
    "dilated": lambda: nn.Conv2d(3, 6, 3, padding=2, dilation=2),
    "even_kernel_same": lambda: nn.Conv2d(3, 6, 2, padding="same"),
    "pointwise_without_bias": lambda: nn.Conv2d(3, 33, 1, bias=False),
    "grouped": lambda: nn.Sequential(nn.Conv2d(3, 12, 1), nn.Conv2d(12, 18, 3, groups=3)),
    "depthwise": lambda: nn.Sequential(nn.Conv2d(3, 24, 1), nn.Conv2d(24, 24, 5, 2, 2, groups=24)),
    "depthwise_odd": lambda: nn.Sequential(nn.Conv2d(3, 7, 1), nn.Conv2d(7, 7, 3, groups=7)),
    "depthwise_multiplied": lambda: nn.Conv2d(3, 12, 3, padding=1, groups=3),
    "padded_on_one_side": lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 2, 1)), nn.Conv2d(3, 8, 3, 2)),
    "padded_with_ones": lambda: nn.Sequential(
        nn.ConstantPad2d((1, 0, 1, 2), 1.0), nn.Conv2d(3, 8, 3)
    ),
    "transposed": lambda: nn.ConvTranspose2d(3, 6, 3, 2, 1, output_padding=1),
    "transposed_plain": lambda: nn.ConvTranspose2d(3, 5, 2, 2),
    "transposed_dilated": lambda: nn.ConvTranspose2d(3, 5, 3, 1, 1, dilation=2),
    "relu6": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU6()),
    "hardtanh": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardtanh(-0.3, 0.4)),
    "two_in_a_row": lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)),
}


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(make, name, precision):
    made = make(CONVOLUTIONS[name](), image(), precision=precision)
    made.require_equal()


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
def test_convolutions_of_a_batch(make, precision):
    model = nn.Sequential(nn.Conv2d(3, 10, 3, 2, 1), nn.ReLU(), nn.Conv2d(10, 10, 3, groups=10))
    make(model, image(3, 3, 11, 9), precision=precision).require_equal()


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.Conv1d(4, 6, 5, 2, 2),
        lambda: nn.Conv1d(4, 4, 3, padding=1, groups=4),
        lambda: nn.Conv1d(4, 8, 3, dilation=3),
        lambda: nn.Sequential(nn.ConstantPad1d((3, 0), 0.0), nn.Conv1d(4, 5, 4)),
        lambda: nn.ConvTranspose1d(4, 6, 4, 2, 1),
    ],
    ids=["strided", "depthwise", "dilated", "causal", "transposed"],
)
def test_convolutions_of_one_dimension(make, layer, precision):
    make(layer(), torch.randn(2, 4, 30), precision=precision).require_equal()


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
@pytest.mark.parametrize("shape", [(1, 20), (5, 20), (2, 3, 20), (17, 20)], ids=str)
def test_linears(make, shape, precision):
    model = nn.Sequential(nn.Linear(20, 33), nn.ReLU(), nn.Linear(33, 7, bias=False))
    make(model, torch.randn(*shape), precision=precision).require_equal()


MOVES = {
    "reshape": lambda x: x.reshape(1, 2, -1, 4),
    "flatten_of_channels_last": lambda x: x.flatten(1),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "permute_and_flatten": lambda x: x.permute(0, 2, 3, 1).flatten(1, 2),
    "slice": lambda x: x[:, 1:7:2, 2:, :-1],
    "flip": lambda x: x.flip((1, 3)),
    "roll": lambda x: torch.roll(x, (3, -2), (1, 2)),
    "cat_channels": lambda x: torch.cat([x, x[:, :3]], 1),
    "cat_rows": lambda x: torch.cat([x[:, :, :2], x, x], 2),
    "pad": lambda x: f.pad(x, (1, 2, 0, 3)),
    "pad_channels": lambda x: f.pad(x, (0, 0, 0, 0, 1, 2)),
    "crop": lambda x: f.pad(x, (-1, -1, 1, 0)),
    "expand": lambda x: x[:, :, :1].expand(2, -1, 3, -1),
    "pixel_shuffle": lambda x: f.pixel_shuffle(x, 2),
    "chunks": lambda x: x.chunk(2, 1)[1],
    "repeat": lambda x: x.repeat(1, 2, 1, 2),
    "stack": lambda x: torch.stack([x, x + 1], -1),
    "max_pool": lambda x: f.max_pool2d(x, 3, 2, 1),
    "max_pool_ceil": lambda x: f.max_pool2d(x, 2, ceil_mode=True),
    "max_pool_dilated": lambda x: f.max_pool2d(x, 2, 1, dilation=2),
    "avg_pool": lambda x: f.avg_pool2d(x, 2),
    "avg_pool_padded": lambda x: f.avg_pool2d(x, 3, 2, 1),
    "avg_pool_inside": lambda x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool_ceil": lambda x: f.avg_pool2d(x, 3, 2, ceil_mode=True),
    "avg_pool_wider_than_all": lambda x: f.avg_pool2d(x, 40, ceil_mode=True),
    "max_pool_wide": lambda x: f.max_pool2d(x, 9, 1, 4),
    "avg_pool_divided": lambda x: f.avg_pool2d(x, 3, divisor_override=5),
    "nearest": lambda x: f.interpolate(x, scale_factor=2.0),
    "nearest_odd": lambda x: f.interpolate(x, size=(7, 11)),
    "alias": torch.Tensor.contiguous,
}
ELEMENTWISE = {
    "add": lambda x: x + x.flip(1),
    "add_relu": lambda x: (x + x.flip(1)).relu(),
    "subtract": lambda x: x - x.flip(2),
    "multiply": lambda x: x * x.flip(3),
    "scale_by_channel": lambda x: x * x.mean((2, 3), keepdim=True),
    "add_transposed": lambda x: x[..., :7] + x[..., :7].transpose(2, 3),
    "add_number": lambda x: x + 0.37,
    "divide": lambda x: x / (x.abs() + 1),
    "mean": lambda x: x.mean((2, 3)),
    "mean_of_rows": lambda x: x.mean(2, keepdim=True),
    "mean_of_channels": lambda x: x.mean(1),
    "sum": lambda x: x.sum((1, 3)),
    "largest": lambda x: x.amax(1),
    "smallest": lambda x: x.amin((2, 3)),
    "relu": lambda x: f.relu(x.flip(1)),
    "clamp": lambda x: x.flip(1).clamp(-0.2, 0.3),
    "sigmoid": torch.sigmoid,
    "silu": f.silu,
    "tanh": torch.tanh,
    "gelu": f.gelu,
    "gelu_by_tanh": lambda x: f.gelu(x, approximate="tanh"),
    "hardswish": f.hardswish,
    "hardsigmoid": f.hardsigmoid,
    "leaky_relu": f.leaky_relu,
    "elu": f.elu,
    "mish": f.mish,
    "bilinear": lambda x: f.interpolate(x, scale_factor=2.0, mode="bilinear"),
    "bilinear_corners": lambda x: f.interpolate(
        x, size=(5, 9), mode="bilinear", align_corners=True
    ),
    "softmax": lambda x: x.softmax(1),
    "softmax_last": lambda x: x.softmax(-1),
    "layer_norm": lambda x: f.layer_norm(x, x.shape[-1:]),
    "layer_norm_of_two": lambda x: f.layer_norm(x, x.shape[-2:]),
    "group_norm": lambda x: f.group_norm(x, 2),
    "matmul": lambda x: x @ x.transpose(-1, -2),
    "matmul_broadcast": lambda x: x[:, :1] @ x.transpose(-1, -2),
    "matmul_to_one_number": lambda x: x.flatten(2)[:, :, None] @ x.flatten(2)[..., None],
    "where": lambda x: torch.where(x > x.flip(1), x, 2 * x),
    "exp": lambda x: (-x.abs()).exp(),
    "log": lambda x: (x.abs() + 0.1).log(),
    "sqrt": lambda x: (x.abs() + 0.1).sqrt(),
    "rsqrt": lambda x: (x * x + 0.1).rsqrt(),
    "pow": lambda x: (x.abs() + 0.1) ** 1.7,
    "sin_cos": lambda x: x.sin() * x.cos(),
    "floor_ceil_round": lambda x: x.floor() + 2 * x.ceil() + 3 * (4 * x).round(),
    "maximum": lambda x: torch.maximum(x, x.flip(1)) - torch.minimum(x, x.flip(2)),
}


class Several(nn.Module):
    """Cases side by side, each behind a convolution of its own: compiled together, they take half the time."""

    def __init__(self, functions):
        super().__init__()
        self.functions = functions
        self.convolutions = nn.ModuleList(nn.Conv2d(3, 8, 1) for _ in functions)

    def forward(self, x):
        pairs = zip(self.functions, self.convolutions, strict=True)
        return tuple(function(conv(x)) for function, conv in pairs)


def together(cases, size=8):
    """Parametrizes by ``size`` cases at a time, named after the first and the last."""
    names = list(cases)
    groups = [names[at : at + size] for at in range(0, len(names), size)]
    return pytest.mark.parametrize("names", groups, ids=lambda group: f"{group[0]}-{group[-1]}")


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
@together(MOVES)
def test_what_moves(make, names, precision):
    """Between convolutions, where values lie channels-last and on grids."""
    model = Several([MOVES[name] for name in names])
    make(model, image(1, 3, 7, 8), precision=precision).require_equal(names)


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8"])
@together(ELEMENTWISE)
def test_what_computes(make, names, precision):
    model = Several([ELEMENTWISE[name] for name in names])
    make(model, image(1, 3, 7, 8), precision=precision).require_equal(names)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention(make, causal, masked):
    mask = torch.randn(1, 1, 5, 5) if masked and not causal else None

    def attend(linear, x):
        q, k, v = linear(x).reshape(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return f.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)

    make(Calls(attend, nn.Linear(6, 24)), torch.randn(2, 5, 6), precision="float32").require_equal()


def test_attention_with_a_mask_of_bools(make):
    mask = torch.rand(5, 5) < 0.6
    mask[:, 0] = True

    def attend(x):
        return f.scaled_dot_product_attention(x, x, x, attn_mask=mask, scale=0.3)

    make(Calls(attend), torch.randn(2, 3, 5, 4), precision="float32").require_equal()


@pytest.mark.parametrize("precision", ["float32", "int8", "int16x8", "float16"])
def test_embeddings(make, precision):
    ids = torch.randint(0, 20, (2, 6))
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 8))
    make(model, ids, precision=precision).require_equal()


def test_index_select(make):
    rows = torch.tensor([3, 0, 2])
    model = Calls(lambda x: x.index_select(1, rows))
    make(model, torch.randn(2, 4, 3), precision="float32").require_equal()


def test_integers_and_bools(make):
    def choose(x, n):
        kept = (n > 2) & (n != 5) | ~(n <= 7) & n.bool() & x.bool()
        return torch.where(kept, x, -x), n + 1, kept

    example = (torch.randn(3, 4), torch.randint(0, 10, (3, 4)))
    make(Calls(choose), *example, precision="float32").require_equal()


def test_outputs_that_share_memory_with_others(make):
    """An input returned, one value returned twice, a view returned beside what it is a view of."""

    def several(conv, x):
        y = conv(x)
        return x, y, y.flatten(1), y.permute(0, 2, 3, 1), torch.ones(3)

    for precision in ("float32", "int8"):
        made = make(Calls(several, nn.Conv2d(3, 4, 1)), image(), precision=precision)
        made.require_equal()


def test_a_scalar_input_and_output(make):
    model = Calls(lambda x, s: (x * s).sum())
    make(model, torch.randn(3, 4), torch.tensor(2.5), precision="float32").require_equal()


def test_what_the_table_lacks_goes_through_the_frontend(make):
    def several(x):
        return x.atan(), x.argmax(1), x.gather(1, torch.zeros(3, 1, dtype=torch.int64)), x.tril()

    made = make(Calls(several), torch.randn(3, 4), precision="float32")
    assert not made.emitter.refused
    made.require_equal()


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.mode(1).values, "TVM has no kernel for it"),
        (torch.digamma, "TVM has no kernel for it"),
        (lambda x: torch.hash_tensor(x).float(), "type uint64"),
    ],
    ids=["without_a_rule", "without_a_kernel", "without_its_type"],
)
def test_what_the_frontend_cannot_do_is_refused(function, reason):
    from edgeopt_tvm import TVMBackend

    program = run_core(capture_module(Calls(function).eval(), (torch.randn(3, 16),)))
    bad, *_ = TVMBackend().support(program, find_target("host")).unsupported
    assert reason in bad.reason
    assert "relax" not in bad.reason.lower()
    assert "test_operators.py:" in bad.source


def test_what_the_frontend_has_no_code_for_is_decomposed():
    from edgeopt_tvm import TVMBackend

    program = run_core(capture_module(Calls(torch.sinh).eval(), (torch.randn(3, 16),)))
    lowered = TVMBackend().lower(program, find_target("host"))
    assert lowered.support.ok
    assert not [
        node for node in lowered.program.graph.nodes if node.target is torch.ops.aten.sinh.default
    ]


def test_outputs_that_are_parts_of_what_the_frontend_makes(make):
    example = torch.randn(4, 2)
    make(Calls(lambda x: x.unsafe_chunk(2)), example, precision="float32").require_equal()
    make(Calls(lambda x: x.unsafe_chunk(2)[1] + 1), example, precision="float32").require_equal()


def test_values_of_one_name_are_told_apart(make):
    """Grouping gives several variables of main the same name."""

    def several(x, n):
        kept = (n > 2) & (n != 5)
        return torch.where(kept, x, -x), n + 1, kept

    example = (torch.randn(3, 4), torch.randint(0, 10, (3, 4)))
    made = make(Calls(several), *example, precision="float32")
    made.require_equal()
    written = [step.args[-1] for step in made.executable.steps]
    assert len(set(written)) == len(written)


@pytest.mark.parametrize("precision", ["int8", "int16x8", "int8-dynamic", "float16"])
def test_weights_are_stored_small(make, precision):
    made = make(nn.Linear(64, 64), torch.randn(1, 64), precision=precision)
    made.require_equal()
    stored = sum(array.nbytes for array in made.executable.constants.values())
    assert stored < (2 if precision == "float16" else 1) * 64 * 64 + 2048
    kinds = {str(array.dtype) for array in made.executable.constants.values()}
    assert ("float16" if precision == "float16" else "int8") in kinds


@pytest.mark.parametrize("kept", ["int8", "uint8"])
def test_integers_may_be_kept_signed_or_not(make, kept):
    """Arm keeps them signed, x86 unsigned: the same kernels, on this machine."""
    signed = replace(machine_of(find_target("host")), arch="aarch64", dot="none")
    machine = signed if kept == "int8" else replace(signed, arch="x86_64")

    def several(conv, deep, linear, x):
        x = f.max_pool2d(f.pad(f.silu(conv(x)), (1, 0, 0, 1)), 2)
        return linear(f.avg_pool2d(x + deep(x), 3, 1, 1).mean((2, 3)))

    layers = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Linear(8, 5)
    made = make(Calls(several, *layers), image(2, 3, 12, 12), machine=machine)
    made.require_equal()
    assert {b.dtype for b in made.executable.buffers if b.kind == "temporary"} >= {kept}


def test_plain_loops_give_the_same_integers(make):
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, groups=16))
    made = make(model, image(), precision="int8", schedule=False)
    made.require_equal()
    assert made.program.precision == "int8"
    assert np.int8 in {array.dtype.type for array in made.executable.constants.values()}
