"""Sorting, running sums, indices, samples and windows, in the forms people write, against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as f

from edgeopt.ir import capture_module
from edgeopt.passes import run_core
from edgeopt.registry import find_target
from edgeopt_tvm.emitter import emit_program
from edgeopt_tvm.interpreter import Interpreter
from edgeopt_tvm.lowering import lower_emitted
from edgeopt_tvm.machine import machine_of

pytestmark = pytest.mark.slow


class Several(nn.Module):
    """Forms of one family, in one program."""

    def __init__(self, forms):
        super().__init__()
        self.forms = forms

    def forward(self, *x):
        results = []
        for form in self.forms:
            made = form(*x)
            results += made if isinstance(made, (tuple, list)) else [made]
        return tuple(results)


NAN, INF = float("nan"), float("inf")
FLOATS = torch.tensor(
    [[[2.0, -1.0, 2.0, 0.0, -0.0], [NAN, 1.0, INF, -INF, 1.0]], [[0.5, 3.0, -2.0, 3.0, 7.0]] * 2]
)
WHOLE = torch.tensor([[[3, -1, 3, 0, 5], [9, 1, -(2**40), 2**40, 1]], [[2, 2, 2, 1, 0]] * 2])
PLACES = torch.tensor([[[0, 4, 2], [1, 1, 0]], [[3, 2, 4], [0, 0, 0]]])
IMAGE, VOLUME = torch.randn(2, 3, 5, 6), torch.randn(1, 2, 4, 5, 6)

ORDERED = [
    lambda x: x.sort(dim=-1, stable=True),
    lambda x: x.sort(dim=-1, descending=True, stable=True),
    lambda x: x.sort(dim=0, stable=True).values,
    lambda x: torch.argsort(x, dim=1, stable=True),
    lambda x: x.msort(),
    lambda x: x.topk(3).values,
    lambda x: x.topk(2, dim=1, largest=False).values,
    lambda x: x.kthvalue(2).values,
    lambda x: x.median(-1).values,
    lambda x: x.median(1, keepdim=True).values,
    lambda x: x.median(),
    lambda x: x.max(-1),
    lambda x: x.min(-1),
    lambda x: x.max(1, keepdim=True).values,
    lambda x: x.cummax(-1),
    lambda x: x.cummin(1),
]
RUNNING = [
    lambda x: x.cumsum(-1),
    lambda x: x.cumsum(0),
    lambda x: x.cumprod(1),
    lambda x: (x > 1).cumsum(-1),
    lambda x: x.prod(1),
]
LONG = torch.rand(3, 300)
INDEXED = [
    lambda x, i: x.gather(2, i),
    lambda x, i: x[:, :, i[0, 0]],
    lambda x, i: x[i[1, 1], i[0, 1]],
    lambda x, i: x[i[1, 1][:, None], :, i[0, 0]],
    lambda x, i: x[:, i[0, 1] - 1, i[0, 0] - 5],
    lambda x, i: x[torch.arange(2), 1],
    lambda x, i: x.index_select(2, i[0, 0]),
]
WRITTEN = [
    lambda x, i: x.scatter(2, i, x[:, :, :3] + 1),
    lambda x, i: x.scatter(2, i[:1], 4),
    lambda x, i: x.scatter(2, i, 2, reduce="multiply"),
    lambda x, i: x.scatter_add(2, i, x[:, :, 2:]),
    *[
        lambda x, i, r=r, own=own: x.scatter_reduce(2, i, x[:, :, :3] + 1, r, include_self=own)
        for r in ("sum", "prod", "amax", "amin", "mean")
        for own in (True, False)
    ],
    lambda x, i: x.index_add(2, i[0, 0], x[:, :, :3], alpha=2),
    lambda x, i: x.index_copy(2, i[0, 0], x[:, :, :3]),
    lambda x, i: x.index_fill(2, i[0, 0], 3),
    lambda x, i: x.index_put((i[0, 1], i[1, 1]), x[0, :, :1].flatten()[:1]),
    lambda x, i: x.index_put((i[0, 1],), x[:1], accumulate=True),
    lambda x, i: x.slice_scatter(x[:, :, :2], 2, 1, 4, 2),
    lambda x, i: x.select_scatter(x[:, 0], 1, 1),
    lambda x, i: f.one_hot(i, 5),
]
SAMPLED = [
    lambda x, g, m=m, p=p, a=a: f.grid_sample(x, g, m, p, a)
    for m, p, a in (
        ("bilinear", "zeros", False),
        ("bilinear", "border", True),
        ("nearest", "zeros", True),
        ("nearest", "border", False),
        ("bicubic", "zeros", False),
    )
]
POOLED = [
    lambda x, v: f.adaptive_max_pool2d(x, (2, 4), return_indices=True),
    lambda x, v: f.adaptive_max_pool1d(x[0], 4),
    lambda x, v: f.adaptive_max_pool3d(v, (2, 3, 5)),
    lambda x, v: f.max_pool2d(x, 3, 2, 1, return_indices=True),
    lambda x, v: f.max_pool3d(v, 2, ceil_mode=True),
    lambda x, v: f.max_pool3d(v, 2, 1, dilation=2),
    lambda x, v: f.max_pool3d(v[0], 3, 2, 1),
    lambda x, v: f.avg_pool2d(x[0], 2),
    lambda x, v: f.avg_pool3d(v, 2, ceil_mode=True),
]
WEIGHTS = [
    torch.randn(2, 3, 2, 2, 2),
    torch.randn(2, 1, 3, 2, 1),
]
TRANSPOSED = [
    lambda v: f.conv_transpose3d(v, WEIGHTS[0], torch.ones(3), stride=2),
    lambda v: f.conv_transpose3d(v, WEIGHTS[1], stride=2, padding=1, output_padding=1, groups=2),
    lambda v: f.conv_transpose3d(v, WEIGHTS[0], dilation=(1, 2, 2)),
]
GRID = torch.tensor([[[[-1.0, -1.0], [0.3, 1.0]], [[0.0, 0.999], [2.4, -3.1]]]]).repeat(2, 1, 1, 1)


def _agree(forms, *example, rtol=1e-5):
    model = Several(forms).eval()
    program = run_core(capture_module(model, example))
    emitter = emit_program(program, machine_of(find_target("host")))
    assert not emitter.refused, emitter.refused
    made = Interpreter(lower_emitted(emitter), emitter.machine)(*(t.numpy() for t in example))
    wanted = model(*example)
    assert len(made) == len(wanted)
    for number, (have, want) in enumerate(zip(made, wanted, strict=True)):
        assert (have.dtype, have.shape) == (want.numpy().dtype, tuple(want.shape)), number
        np.testing.assert_allclose(have, want.numpy(), rtol, 1e-6, err_msg=str(number))


@pytest.mark.parametrize("x", [FLOATS, WHOLE], ids=["float32", "int64"])
def test_what_is_put_in_order(x):
    _agree(ORDERED, x)


@pytest.mark.parametrize("x", [FLOATS[1:], WHOLE], ids=["float32", "int64"])
def test_running_sums(x):
    _agree(RUNNING, x)


def test_long_running_sums_are_taken_in_blocks():
    _agree([lambda x: x.cumsum(-1), lambda x: x.cumsum(0)], LONG, rtol=1e-4)
    _agree([lambda x: x.cumsum(-1)], torch.arange(900).reshape(3, 300))
    _agree([lambda x: x.logcumsumexp(-1)], torch.cat([LONG, torch.full((1, 300), -INF)]), rtol=1e-4)


@pytest.mark.parametrize("x", [FLOATS, WHOLE], ids=["float32", "int64"])
def test_what_indices_choose(x):
    _agree(INDEXED, x, PLACES)


@pytest.mark.parametrize("x", [FLOATS[1:].repeat(2, 1, 1), WHOLE], ids=["float32", "int64"])
def test_what_is_written_where_indices_say(x):
    _agree(WRITTEN, x, PLACES)


def test_indices_beside_the_value_read_and_write_nothing_beside_it():
    forms = [
        lambda x, i: x[i],
        lambda x, i: x.index_select(0, i),
        lambda x, i: x.scatter(0, i, 1.0),
    ]
    x, good = torch.randn(4), torch.tensor([1, 2])
    program = run_core(capture_module(Several(forms).eval(), (x, good)))
    emitter = emit_program(program, machine_of(find_target("host")))
    run = Interpreter(lower_emitted(emitter), emitter.machine)
    read, _, written = run(x.numpy(), np.array([2**40, -(2**40)]))
    assert read.tolist() == [x[3].item(), x[0].item()]
    assert written.tolist() == x.tolist()


def test_samples_between_places():
    _agree(SAMPLED, IMAGE, GRID, rtol=1e-4)
    grid = torch.rand(1, 2, 3, 2, 3) * 3 - 1.5
    _agree([lambda v, g: f.grid_sample(v, g, align_corners=False)], VOLUME, grid, rtol=1e-4)


def test_windows():
    _agree(POOLED, IMAGE, VOLUME)


def test_transposed_convolutions_of_volumes():
    _agree(TRANSPOSED, VOLUME, rtol=1e-4)


def test_an_axis_too_long_to_be_sorted_says_what_to_do():
    from edgeopt_tvm import TVMBackend

    example = (torch.zeros(1, 100_000),)
    program = run_core(capture_module(Several([lambda x: x.topk(2)]).eval(), example))
    reasons = [n.reason for n in TVMBackend().support(program, find_target("host")).unsupported]
    assert any("100000 numbers" in reason and "reduce them before" in reason for reason in reasons)


def test_extremes_of_nothing_but_infinity_are_infinite():
    x = torch.tensor([[INF, INF], [-INF, -INF], [1.0, -INF]])
    _agree([lambda x: x.amax(1), lambda x: x.amin(1), lambda x: x.amax(0)], x)


def test_constants_of_64_bits_keep_them():
    x = torch.arange(3)
    large, doubles = (
        torch.tensor([2**40, 1, -(2**50)]),
        torch.tensor([0.1, 1e300, 3.0], dtype=torch.float64),
    )
    _agree(
        [lambda x: x + large, lambda x: torch.full_like(x, 2**40), lambda x: x.double() * doubles],
        x,
    )


def test_truth_values_are_computed_with():
    a, b = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    forms = [torch.add, torch.mul, torch.maximum, torch.minimum]
    forms += [torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge]
    _agree(forms, a, b)
