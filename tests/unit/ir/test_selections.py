"""Numbers chosen by a mask: what has a known shape in the end is computed on all."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgeopt
from edgeopt.errors import CaptureError
from edgeopt.ir import ReferenceRunner


class _Called(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def _leaky(x):
    y = x.clone()
    y[y < 0] = 0.1 * y[y < 0]
    return y


def _logarithms(x):
    y = x.clone()
    y[y > 0] = y[y > 0].log() + 1 / y[y > 0]
    return y


def _rows(x):
    y, rows = x.clone(), x.sum(-1) > 0
    y[rows] = y[rows] * 2 + torch.arange(5.0)
    return y


def _between_two_writes(x):
    y = x.clone()
    y[y < 0] = -y[y < 0]
    y[y < 1] = y[y < 1] ** 2
    return y


def _centered(x):
    rows = x.sum(-1) > 0
    chosen = x[rows]
    return (chosen - chosen.mean(0)).abs().sum()


@pytest.mark.parametrize(
    "function",
    [
        _leaky,
        _logarithms,
        _rows,
        _between_two_writes,
        _centered,
        lambda x: x[x > 0].sum(),
        lambda x: x[x > 0].mean(),
        lambda x: x[x > 0].max(),
        lambda x: x[x.sum(-1) > 0].mean(0),
        lambda x: x[x.sum(-1) > 0].mean(),
        lambda x: x[x.sum(-1) > 0].amin(0),
        lambda x: x[x.sum(-1) > 0].sum((0, 1)),
        lambda x: x[0][x[0, :, 0] > 0].sum(0, keepdim=True),
        lambda x: (x[x > 0] ** 2).mean().sqrt(),
        lambda x: torch.masked_select(x, x > 0).sqrt().sum(),
        lambda x: (x * 9).long()[x > 0].amax(),
        lambda x: (x > 0)[x > 1].sum(),
    ],
)
def test_it_gives_what_torch_gives(function):
    model = _Called(function)
    program = edgeopt.capture(model.eval(), (torch.randn(1, 9, 5),))
    run = ReferenceRunner(program)
    for seed in range(8):
        x = torch.randn(1, 9, 5, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(torch.as_tensor(run(x.numpy())), model(x))


def test_the_mean_of_nothing_is_no_number():
    program = edgeopt.capture(_Called(lambda x: x[x > 0].mean()).eval(), (torch.randn(1, 6),))
    assert torch.as_tensor(ReferenceRunner(program)(-torch.ones(1, 6).numpy())).isnan().all()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[x > 0],
        lambda x: x[x > 0].sort().values.sum(),
        lambda x: x[x[..., 0] > 0].amax(1),
        lambda x: torch.where(x > 0, 1.0, x[x > 0].cumsum(0)[0]),
    ],
)
def test_what_keeps_an_unknown_shape_is_refused(function):
    with pytest.raises(CaptureError, match=r"is not known|data-dependent"):
        edgeopt.capture(_Called(function).eval(), (torch.randn(1, 9, 5),))


def test_unlike_masks_are_refused():
    def mixed(x):
        y = x.clone()
        y[y > 0] = x[x > 0.5].sum() + x[x < 0][: y[y > 0].shape[0]]
        return y

    with pytest.raises(CaptureError):
        edgeopt.capture(_Called(mixed).eval(), (torch.randn(1, 9, 5),))


@pytest.mark.parametrize("change", [lambda chosen: chosen / 10, lambda chosen: chosen**2])
def test_nothing_is_put_in_where_all_numbers_are_defined(change):
    def scaled(x):
        y = x.clone()
        y[y < 0] = change(y[y < 0])
        return y

    program = edgeopt.capture(_Called(scaled).eval(), (torch.randn(1, 9, 5),))
    choices = [n for n in program.graph.nodes if n.target is torch.ops.aten.where.self]
    assert len(choices) == 1
