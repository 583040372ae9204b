"""Each pass alone: it keeps the function, does what it says, and does it once."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.passes import find_pass, run_passes

aten = torch.ops.aten
IMAGE = (2, 4, 8, 8)
SOFTPLUS = "abs neg exp add div mul mul add mul add mul add mul relu add"
MINUS_ONE = torch.full((1,), -1.0)


class Case(NamedTuple):
    """A model, the shape of its input, and the operators that are left after the pass."""

    forward: object
    left: str
    shape: tuple[int, ...] = IMAGE
    parts: object = dict


def bn(width, kind=nn.BatchNorm2d):
    norm = kind(width)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def layers(*made):
    """Returns parts that are called one after the other by `in_turn`."""
    return lambda: {"layers": nn.Sequential(*(make() for make in made))}


def in_turn(self, x):
    return self.layers(x)


def conv(*args, **kwargs):
    return lambda: nn.Conv2d(*args, **kwargs)


def op(name):
    return lambda self, x: getattr(aten, name)(x)


def normed_twice(self, x):
    y = self.c(x)
    return self.n(y) + y


def padded_for_two(self, x):
    y = functional.pad(x, (1, 1, 1, 1))
    return self.c(y) + y[:, :, 1:-1, 1:-1]


def clamped_for_two(_, x):
    y = x.clamp(-1, 1)
    return torch.relu(y) + y


def masked(logic, mask):
    return lambda _, x: torch.where(logic(mask, x > 0), x, MINUS_ONE)


def ones_of_row():
    return {"a": torch.ones(8)}


def ones():
    return {"one": torch.ones(8, dtype=torch.int32)}


REQUIRED = {
    "canonicalize_masks": ["fold_constants"],
    "fold_batch_norm": ["canonicalize_convolutions"],
    "fold_padding": ["canonicalize_convolutions"],
    "fuse_activations": ["canonicalize_activations"],
    "own_biases": ["canonicalize_convolutions"],
}

CASES = {
    "remove_identities": [
        Case(lambda _, x: functional.dropout(x, 0.5, training=False) + x, "add"),
        Case(lambda _, x: x.clone().contiguous() * 2, "mul"),
        Case(lambda _, x: x.reshape(2, 4, 8, 8) * 2, "mul"),
        Case(lambda _, x: x.to(torch.float32) * 2, "mul"),
        Case(lambda _, x: x.double() * 2, "_to_copy mul"),
        Case(lambda _, x: functional.pad(x, (0, 0)) * 2, "mul"),
        Case(lambda _, x: (x * 1 + 0) / 1 - 0, ""),
        Case(lambda _, x: x[:, 0:4].expand(2, 4, 8, 8) * 2, "mul"),
        Case(lambda _, x: x[:, 0:3] * 2, "slice mul"),
    ],
    "fold_constants": [
        Case(
            lambda _, x: x + x.new_zeros(1, 9, 1 << 17, 1)[:, :4, :8] + 1,
            "expand slice slice add add",
        ),
        Case(lambda _, x: x + torch.full((9, 1 << 17), 2.0)[0, :8], "expand select slice add"),
        Case(
            lambda s, x: x + s.a * 2 + torch.arange(8.0),
            "add add",
            parts=lambda: {"a": torch.ones(8)},
        ),
        Case(lambda s, x: x * s.w.exp().sum(), "mul", parts=lambda: {"w": torch.randn(3)}),
        Case(lambda _, x: x + torch.zeros(8).fill_(2), "add"),
        Case(lambda _, x: torch.where(torch.zeros(8) > 1, MINUS_ONE, x) * 2, "mul"),
        Case(lambda s, x: x + torch.where(s.a < 2, s.a, x[0]), "add", parts=ones_of_row),
        Case(
            lambda _, x: torch.where(torch.zeros(3, 1, 1, 1) < 1, x[:1], x[:1] + 1), "slice expand"
        ),
        Case(lambda _, x: x + x, "add"),
    ],
    "canonicalize_recurrence": [
        Case(
            lambda s, x: s.r(x)[0],
            "full full slice slice transpose lstm getitem transpose",
            (2, 3, 4),
            lambda: {"r": nn.LSTM(4, 5, batch_first=True)},
        ),
        Case(
            lambda s, x: s.r(x)[1],
            "full slice slice full full flip gru gru getitem getitem slice slice cat",
            (3, 2, 4),
            lambda: {"r": nn.GRU(4, 5, bidirectional=True, bias=False)},
        ),
    ],
    "canonicalize_masks": [
        Case(lambda _, x: x[torch.arange(2)[:, None], torch.arange(4)], "reshape"),
        Case(lambda _, x: x[torch.zeros(1, 1).long(), torch.arange(6)], "reshape", (1, 6, 3)),
        Case(lambda _, x: x[:, torch.arange(4)], "reshape"),
        Case(lambda _, x: x[:, torch.tensor([0, 2, 1, 3])], "index"),
        Case(lambda _, x: x[:, torch.tensor([0, 0, 1, 1])], "index"),
        Case(lambda _, x: x[torch.arange(2), torch.arange(2)], "index"),
        Case(masked(torch.logical_and, torch.ones(8, 8).bool()), "gt where"),
        Case(masked(torch.bitwise_and, torch.ones(3, 1, 1, 1, 1).bool()), "gt expand where"),
        Case(masked(torch.logical_and, torch.zeros(8).bool()), "where"),
        Case(masked(torch.bitwise_or, torch.zeros(8).bool()), "gt where"),
        Case(masked(torch.logical_or, torch.ones(8).bool()), "where"),
        Case(masked(torch.logical_and, torch.eye(8).bool()), "gt logical_and where"),
        Case(lambda s, x: x + (x.int() & s.one), "_to_copy __and__ add", parts=ones),
    ],
    "canonicalize_views": [
        Case(lambda _, x: x.view(2, -1), "reshape"),
        Case(lambda _, x: x.flatten(1), "reshape"),
        Case(lambda _, x: x.unflatten(1, (2, 2)), "reshape"),
        Case(lambda _, x: x[:, :1].squeeze(1), "slice reshape"),
        Case(lambda _, x: x.unsqueeze(-1), "reshape"),
        Case(lambda _, x: x.transpose(1, -1), "permute"),
        Case(lambda _, x: x.movedim(1, -1), "permute"),
        Case(lambda _, x: x.mT, "permute"),
        Case(lambda _, x: x.transpose(1, 2).reshape(2, -1), "permute clone reshape"),
        Case(lambda _, x: x[:, -1], "slice reshape"),
        Case(lambda _, x: x[..., -3], "slice reshape"),
        Case(lambda _, x: x[:, ::2, 1:-1:3], "slice slice"),
        Case(lambda _, x: x[:, -2:], "slice"),
        Case(lambda _, x: x.narrow(1, 1, 2), "slice"),
        Case(lambda _, x: x.split([1, 3], 1)[1], "slice"),
        Case(lambda _, x: x.split(3, -1)[-1], "slice"),
        Case(lambda _, x: x.chunk(3, 1)[1], "slice"),
        Case(lambda _, x: x.tensor_split(3, 2)[2], "slice"),
        Case(lambda _, x: x.unbind(1)[-1], "slice reshape"),
        Case(lambda _, x: torch.stack([x, x * 2], -1), "mul reshape reshape cat"),
        Case(lambda _, x: x.repeat(1, 2, 1, 1), "cat"),
        Case(lambda _, x: x[:, :1].repeat(3, 1, 2, 1, 1), "slice reshape expand"),
        Case(lambda _, x: x.tile(2, 1), "cat"),
        Case(lambda _, x: functional.pad(x, (0, 0, 1, -1)), "constant_pad_nd slice"),
        Case(lambda _, x: functional.pad(x, (-1, -2, -3, 0)), "slice slice"),
        Case(lambda _, x: functional.pad(x, (1, 2), value=0.5), "constant_pad_nd"),
        Case(lambda _, x: torch.hstack([x, x]), "cat"),
        Case(lambda _, x: functional.pixel_shuffle(x, 2), "reshape permute clone reshape clone"),
        Case(lambda _, x: functional.pixel_unshuffle(x, 2), "reshape permute clone reshape clone"),
    ],
    "canonicalize_activations": [
        Case(lambda _, x: functional.relu6(x), "clamp"),
        Case(lambda _, x: functional.hardtanh(x), "clamp"),
        Case(lambda _, x: functional.hardtanh(x, -0.2, 0.3), "clamp"),
        Case(lambda _, x: x.clamp(min=0), "relu"),
        Case(lambda _, x: x.clamp(max=1), "clamp"),
        Case(lambda _, x: x.clamp_min(0.5), "clamp"),
        Case(lambda _, x: x.clamp(-1, 1), "clamp"),
        Case(lambda _, x: functional.silu(x), "sigmoid mul"),
        Case(in_turn, "relu clamp mul add", parts=layers(lambda: nn.PReLU(4))),
        Case(in_turn, "relu clamp mul add", parts=layers(nn.PReLU)),
        Case(in_turn, "relu clamp mul add", (5,), parts=layers(nn.PReLU)),
        Case(lambda _, x: x.clamp(-float("inf"), float("inf")), ""),
        Case(lambda _, x: functional.hardsigmoid(x), "add clamp mul"),
        Case(lambda _, x: functional.hardswish(x), "hardswish"),
        Case(lambda _, x: functional.softplus(x * 40), f"mul {SOFTPLUS}"),
        Case(lambda _, x: functional.mish(x), f"{SOFTPLUS} tanh mul"),
        Case(op("relu6"), "clamp"),
    ],
    "canonicalize_products": [
        Case(lambda s, x: x @ s.w, "linear", (2, 5), lambda: {"w": torch.randn(5, 7)}),
        Case(lambda s, x: x @ s.w, "linear", (2, 3, 5), lambda: {"w": torch.randn(5, 7)}),
        Case(lambda s, x: x @ s.w, "matmul", (2, 5), lambda: {"w": torch.randn(5)}),
        Case(lambda s, x: s.w @ x, "matmul", (5, 2), lambda: {"w": torch.randn(3, 5)}),
        Case(lambda s, x: torch.mm(x, s.w), "linear", (2, 5), lambda: {"w": torch.randn(5, 7)}),
        Case(lambda _, x: torch.bmm(x, x), "matmul", (2, 5, 5)),
        Case(
            lambda s, x: torch.addmm(s.b, x, s.w),
            "linear",
            (2, 5),
            lambda: {"b": torch.randn(7), "w": torch.randn(5, 7)},
        ),
        Case(
            lambda s, x: torch.addmm(s.b, x, s.w, beta=0.5, alpha=3),
            "linear",
            (2, 5),
            lambda: {"b": torch.randn(7), "w": torch.randn(5, 7)},
        ),
        Case(
            lambda s, x: torch.addmm(s.b, x, s.w),
            "linear",
            (2, 5),
            lambda: {"b": torch.randn(1), "w": torch.randn(5, 7)},
        ),
        Case(
            lambda s, x: torch.addmm(s.b, x, s.w, beta=2),
            "linear mul add",
            (2, 5),
            lambda: {"b": torch.randn(2, 7), "w": torch.randn(5, 7)},
        ),
        Case(
            lambda s, x: torch.baddbmm(s.b, x, x, beta=0.5, alpha=2.0),
            "matmul mul mul add",
            (2, 5, 5),
            lambda: {"b": torch.randn(2, 5, 5)},
        ),
        Case(
            lambda s, x: torch.baddbmm(s.b, x, x, beta=0),
            "matmul",
            (2, 5, 5),
            lambda: {"b": torch.full((2, 5, 5), float("nan"))},
        ),
    ],
    "canonicalize_arithmetic": [
        Case(lambda _, x: x + 2, "add"),
        Case(lambda _, x: 1 - x, "sub"),
        Case(lambda _, x: torch.rsub(x, 3.0, alpha=2), "mul sub"),
        Case(lambda _, x: torch.sub(x, x * x, alpha=3), "mul mul sub"),
        Case(lambda _, x: torch.add(x, 2, alpha=3), "mul add"),
        Case(lambda _, x: x / 3, "mul"),
        Case(lambda s, x: x / s.d, "mul", parts=lambda: {"d": torch.rand(8) + 1}),
        Case(lambda _, x: x / (x.abs() + 1), "abs add div"),
        Case(lambda _, x: x**2, "mul"),
        Case(lambda _, x: x**3, "mul mul"),
        Case(lambda _, x: x.abs() ** 0.5, "abs sqrt"),
        Case(lambda _, x: x.masked_fill(x > 0, 0.5), "gt where"),
        Case(lambda _, x: torch.where(x > 0, x, 0.0), "gt where"),
        Case(lambda _, x: torch.where(x > 0, 1.0, x), "gt where"),
        Case(lambda _, x: aten.add.Scalar(x, 2.0), "add"),
        Case(lambda _, x: torch.logical_or(x, x > 0), "gt ne logical_or"),
        Case(lambda _, x: x.relu().logical_not(), "relu ne logical_not"),
        Case(lambda _, x: aten.mul.Scalar(x, 2.0), "mul"),
        Case(lambda _, x: aten.div.Scalar(x, 4.0), "mul"),
        Case(lambda _, x: x * 2 + 1, "mul add", ()),
        Case(lambda _, x: x.masked_fill(x > 9, 0.5), "gt where", ()),
    ],
    "canonicalize_pooling": [
        Case(lambda _, x: functional.adaptive_avg_pool2d(x, 1), "mean"),
        Case(lambda _, x: functional.adaptive_avg_pool2d(x, (4, 2)), "avg_pool2d"),
        Case(
            lambda _, x: functional.adaptive_max_pool2d(x, 3),
            "slice slice slice amax amax amax cat slice slice slice amax amax amax cat",
        ),
        Case(lambda _, x: functional.adaptive_avg_pool1d(x, 1), "mean", (2, 4, 9)),
        Case(
            lambda _, x: functional.adaptive_avg_pool1d(x, 3),
            "reshape avg_pool2d reshape",
            (2, 4, 9),
        ),
        Case(lambda _, x: functional.adaptive_max_pool2d(x, 2), "max_pool2d"),
        Case(lambda _, x: functional.max_pool2d(x, 3, 2, 1, ceil_mode=True), "max_pool2d"),
        Case(lambda _, x: functional.max_pool2d(x, 2), "max_pool2d"),
        Case(
            lambda _, x: functional.max_pool1d(x, 3, 2, 1), "reshape max_pool2d reshape", (2, 4, 9)
        ),
        Case(lambda _, x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False), "avg_pool2d"),
        Case(lambda _, x: functional.avg_pool2d(x, 2, divisor_override=3), "avg_pool2d"),
        Case(
            lambda _, x: functional.avg_pool1d(x, 2, padding=1, count_include_pad=False),
            "reshape avg_pool2d reshape",
            (2, 4, 9),
        ),
        Case(lambda _, x: x.mean(), "mean"),
        Case(lambda _, x: x.mean(-1, keepdim=True), "mean"),
        Case(lambda _, x: x.mean((-1, 1)), "mean"),
    ],
    "canonicalize_convolutions": [
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3, padding="same"))),
        Case(in_turn, "constant_pad_nd conv2d", parts=layers(conv(4, 6, 4, padding="same"))),
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, (3, 5), dilation=2, padding="same"))),
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3, padding="valid", groups=2))),
        Case(in_turn, "conv1d", (2, 4, 9), layers(lambda: nn.Conv1d(4, 6, 3, padding="same"))),
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3, stride=2))),
        Case(in_turn, "reshape conv2d reshape", (4, 8, 8), layers(conv(4, 6, 3))),
        Case(in_turn, "reshape conv1d reshape", (4, 8), layers(lambda: nn.Conv1d(4, 6, 3))),
        Case(
            in_turn,
            "reshape conv_transpose2d reshape",
            (2, 4, 9),
            layers(lambda: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, groups=2)),
        ),
        Case(
            in_turn,
            "conv_transpose2d",
            parts=layers(lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2)),
        ),
    ],
    "fold_batch_norm": [
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3), lambda: bn(6))),
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3, bias=False), lambda: bn(6))),
        Case(in_turn, "conv2d", parts=layers(conv(4, 8, 3, groups=4), lambda: bn(8))),
        Case(
            in_turn,
            "conv2d",
            parts=layers(conv(4, 6, 3), lambda: nn.BatchNorm2d(6, affine=False)),
        ),
        Case(
            in_turn,
            "conv_transpose2d",
            parts=layers(lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), lambda: bn(6)),
        ),
        Case(
            in_turn,
            "conv1d",
            (2, 4, 9),
            layers(lambda: nn.Conv1d(4, 6, 3), lambda: bn(6, nn.BatchNorm1d)),
        ),
        Case(
            in_turn,
            "linear",
            (2, 5),
            layers(lambda: nn.Linear(5, 7), lambda: bn(7, nn.BatchNorm1d)),
        ),
        Case(
            in_turn,
            "linear mul add",
            (2, 7, 5),
            layers(lambda: nn.Linear(5, 7), lambda: bn(7, nn.BatchNorm1d)),
        ),
        Case(in_turn, "mul add", parts=layers(lambda: bn(4))),
        Case(in_turn, "conv2d relu mul add", parts=layers(conv(4, 6, 3), nn.ReLU, lambda: bn(6))),
        Case(
            lambda s, x: s.n(s.c(x)) + s.c(x),
            "conv2d mul add conv2d add",
            parts=lambda: {"c": nn.Conv2d(4, 4, 1), "n": bn(4)},
        ),
        Case(
            normed_twice,
            "conv2d mul add add",
            parts=lambda: {"c": nn.Conv2d(4, 4, 1), "n": bn(4)},
        ),
    ],
    "fold_padding": [
        Case(in_turn, "conv2d", parts=layers(lambda: nn.ZeroPad2d(1), conv(4, 6, 3))),
        Case(
            in_turn,
            "conv2d",
            parts=layers(lambda: nn.ZeroPad2d((2, 2, 1, 1)), conv(4, 6, 3, padding=1)),
        ),
        Case(
            in_turn,
            "constant_pad_nd conv2d",
            parts=layers(lambda: nn.ZeroPad2d((0, 1, 0, 1)), conv(4, 6, 3)),
        ),
        Case(
            in_turn,
            "constant_pad_nd conv2d",
            parts=layers(lambda: nn.ConstantPad2d(1, 0.5), conv(4, 6, 3)),
        ),
        Case(
            in_turn,
            "reflection_pad2d conv2d",
            parts=layers(conv(4, 6, 3, padding=1, padding_mode="reflect")),
        ),
        Case(
            lambda s, x: s.c(functional.pad(x, (1, 1))),
            "constant_pad_nd reshape conv2d reshape",
            (4, 8, 8),
            lambda: {"c": nn.Conv2d(4, 6, 3)},
        ),
        Case(
            padded_for_two,
            "constant_pad_nd conv2d slice slice add",
            parts=lambda: {"c": nn.Conv2d(4, 4, 3)},
        ),
        Case(
            lambda s, x: s.c(functional.pad(x, (1, 1, 1, 1, 0, 1))),
            "constant_pad_nd conv2d",
            parts=lambda: {"c": nn.Conv2d(5, 4, 3)},
        ),
        Case(lambda _, x: functional.pad(x, (-1, -1)), "constant_pad_nd"),
    ],
    "fuse_activations": [
        Case(lambda _, x: torch.relu(torch.relu(x)), "relu"),
        Case(lambda _, x: functional.relu6(torch.relu(x)), "clamp"),
        Case(lambda _, x: torch.relu(functional.relu6(x)), "clamp"),
        Case(lambda _, x: x.clamp(0, 6).clamp(1, 3).clamp(2, 8), "clamp"),
        Case(lambda _, x: x.clamp(0, 1).clamp(2, 3), "clamp"),
        Case(lambda _, x: x.clamp(min=-0.5).clamp(max=0.5), "clamp"),
        Case(clamped_for_two, "clamp relu add"),
    ],
    "own_biases": [
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3, bias=False))),
        Case(in_turn, "linear", (2, 5), layers(lambda: nn.Linear(5, 7, bias=False))),
        Case(
            in_turn,
            "conv_transpose2d",
            parts=layers(lambda: nn.ConvTranspose2d(4, 6, 3, bias=False)),
        ),
        Case(
            lambda s, x: functional.linear(x, s.a, s.b) + functional.linear(x, s.c, s.b),
            "linear linear add",
            (2, 5),
            lambda: {"a": torch.randn(7, 5), "b": torch.randn(7), "c": torch.randn(7, 5)},
        ),
        Case(in_turn, "conv2d", parts=layers(conv(4, 6, 3))),
    ],
    "decompose_attention": [
        Case(
            lambda _, x: functional.scaled_dot_product_attention(x, x * 2, x),
            "mul permute matmul mul softmax matmul",
            (2, 3, 5, 8),
        ),
        Case(
            lambda _, x: functional.scaled_dot_product_attention(
                x, x, x, is_causal=True, scale=0.3
            ),
            "permute matmul mul add softmax matmul",
            (2, 3, 5, 8),
        ),
        Case(
            lambda s, x: functional.scaled_dot_product_attention(x, x, x, attn_mask=s.m),
            "permute matmul mul add softmax matmul",
            (2, 3, 5, 8),
            lambda: {"m": torch.ones(5, 5, dtype=torch.bool).tril()},
        ),
        Case(
            lambda s, x: functional.scaled_dot_product_attention(x, x, x, attn_mask=s.m),
            "permute matmul mul add softmax matmul",
            (2, 3, 5, 8),
            lambda: {"m": torch.zeros(5, 5).masked_fill(torch.ones(5, 5).triu(1) > 0, -torch.inf)},
        ),
        Case(
            lambda _, x: functional.scaled_dot_product_attention(
                x, x, x, attn_mask=x[..., :5] > -9
            ),
            "slice gt permute matmul mul where add softmax matmul where amax ge where",
            (2, 3, 5, 8),
        ),
        Case(
            lambda _, x: functional.scaled_dot_product_attention(x, x, x, scale=0.0),
            "permute matmul mul softmax matmul",
            (2, 3, 5, 8),
        ),
        Case(
            lambda _, x: functional.scaled_dot_product_attention(
                x, x[:, :2], x[:, :2], enable_gqa=True
            ),
            "slice slice reshape expand reshape reshape expand reshape permute matmul mul softmax matmul",
            (2, 4, 5, 8),
        ),
    ],
}

QUICK = 4
"""How many cases a pass the quick run looks at: each capture takes a quarter of a second."""

ALL = [
    pytest.param(
        name,
        case,
        id=f"{name}-{i}-{case.left.replace(' ', '+')}",
        marks=[pytest.mark.slow] if i >= QUICK else [],
    )
    for name, cases in CASES.items()
    for i, case in enumerate(cases)
]


def operators(program):
    nodes = [n for n in program.graph.nodes if n.op == "call_function"]
    return sorted(getattr(n.target, "_opname", n.target.__name__) for n in nodes)


@pytest.mark.parametrize(("name", "case"), ALL)
def test_a_pass_does_what_it_says(written, name, case):
    model = written(case.forward, **case.parts())
    x = torch.randn(case.shape)
    with torch.no_grad():
        wanted = model(x).numpy()
    program = run_passes(capture_module(model, (x,)), REQUIRED.get(name, []))
    text = program.text

    once = find_pass(name)(program)

    assert operators(once) == sorted(case.left.split())
    np.testing.assert_allclose(ReferenceRunner(once)(x.numpy()), wanted, rtol=1e-5, atol=1e-5)
    assert program.text == text
    twice = find_pass(name)(once)
    assert twice.text == once.text
    assert twice is once
