"""Each way to find a range does what its name says."""

from __future__ import annotations

import pytest
import torch

from edgeopt.ir.quant import QuantSpec
from edgeopt.quantization.ranges import find_parameters


@pytest.fixture
def long_tailed():
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    values[0] = 100.0
    return values


def error(values, grid):
    return float((grid.fake(values) - values).square().sum())


def test_minmax_spans_everything(long_tailed):
    grid = find_parameters(long_tailed, -4.0, 100.0, "minmax")
    assert grid.high == pytest.approx(100.0, rel=0.01)
    assert grid.low == pytest.approx(-4.0, abs=float(grid.scale))


def test_percentile_leaves_the_outlier_out(long_tailed):
    grid = find_parameters(long_tailed, -4.0, 100.0, "percentile")
    assert grid.high < 10


def test_least_squares_has_the_least_error(long_tailed):
    errors = {
        m: error(long_tailed, find_parameters(long_tailed, -4.0, 100.0, m))
        for m in ("minmax", "mse")
    }
    assert errors["mse"] < errors["minmax"]


def test_auto_clips_only_where_it_pays(long_tailed):
    moderate = long_tailed.clamp(max=12.0)
    even = torch.rand(200_000, generator=torch.Generator().manual_seed(1)) * 2 - 1
    assert find_parameters(even, -1.0, 3.0, "auto").high < 1.5  # one sample elsewhere went to 3
    short = moderate.clamp(-3.0, 3.0)
    assert find_parameters(short, -3.0, 3.0, "auto").method == "minmax"


@pytest.mark.parametrize("method", ["auto", "mse"])
def test_an_outlying_channel_counts_whichever_place_it_has(method):
    # of 786432 values one in four is looked at: a stride of 4 would meet channels 0, 4, 8, ... only
    errors = []
    for channel in range(4):
        rows = torch.randn(512, 1536, generator=torch.Generator().manual_seed(2))
        rows[::64, channel] = 60.0
        values = rows.reshape(-1)
        grid = find_parameters(values, float(values.min()), 60.0, method)
        errors.append(error(values, grid))
        assert errors[-1] <= error(values, QuantSpec.affine(float(values.min()), 60.0, method=""))
    assert max(errors) < 1.1 * min(errors)


def test_zero_is_a_point_of_every_grid(long_tailed):
    for low, high in ((0.5, 3.0), (-3.0, -0.5), (-1.0, 2.7)):
        grid = find_parameters(long_tailed.clamp(low, high), low, high, "auto")
        assert float(grid.fake(torch.zeros(1))) == 0.0


@pytest.mark.parametrize("constant", [0.0, 1.5, -2.0])
def test_a_constant_activation_is_kept(constant):
    grid = find_parameters(torch.full((100,), constant), constant, constant, "auto")
    assert float(grid.fake(torch.tensor([constant]))) == pytest.approx(constant, rel=1e-5)
