"""The arithmetic of grids."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.contracts.storage import INT16
from edgeopt.errors import ProgramError
from edgeopt.ir import QuantSpec

finite = st.floats(-1e4, 1e4, allow_nan=False, width=32)
ranges = st.tuples(finite, finite).map(sorted)
tensors = st.lists(finite, min_size=1, max_size=32).map(torch.tensor)
bits = st.sampled_from([7, 8])


def per_channel(scales, dtype="int8", axis=0, width=8):
    scale = torch.tensor(scales, dtype=torch.float32)
    return QuantSpec(dtype, scale, torch.zeros(len(scales), dtype=torch.int32), axis, width)


@given(ranges, tensors, bits)
def test_fake_is_quantize_and_back(ends, x, width):
    spec = QuantSpec.affine(*ends, method="t", bits=width)
    assert torch.equal(spec.fake(x), spec.dequantize(spec.quantize(x)))


@given(ranges, tensors)
def test_what_lies_on_the_grid_stays(ends, x):
    spec = QuantSpec.affine(*ends, method="t")
    once = spec.fake(x)
    assert torch.equal(spec.fake(once), once)
    assert torch.equal(spec.quantize(once), spec.quantize(x))


@given(ranges, bits)
def test_zero_is_one_of_the_points(ends, width):
    spec = QuantSpec.affine(*ends, method="t", bits=width)
    assert spec.fake(torch.zeros(1)).item() == 0.0
    assert spec.quantize(torch.zeros(1)).item() == spec.zero_point.item()
    assert spec.q_min <= spec.zero_point.item() <= spec.q_max


@given(ranges, bits)
def test_the_range_is_covered_within_half_a_step(ends, width):
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    spec = QuantSpec.affine(*ends, method="t", bits=width)
    step = float(spec.scale)
    assert spec.low <= low + 0.5001 * step
    assert spec.high >= high - 0.5001 * step
    if high - low > 1e-9:
        assert math.isclose(spec.high - spec.low, high - low, rel_tol=1e-5)


@given(ranges, tensors)
def test_rounding_errs_by_half_a_step_at_most(ends, x):
    spec = QuantSpec.affine(*ends, method="t")
    inside = x.clamp(spec.low, spec.high)
    assert float((spec.fake(inside) - inside).abs().max()) <= float(spec.scale) * 0.5001


@given(tensors)
def test_all_integers_lie_within_the_limits(x):
    spec = QuantSpec.affine(-1.0, 2.0, method="t", bits=7)
    q = spec.quantize(x)
    assert q.dtype is torch.int8
    assert -64 <= int(q.min()) <= int(q.max()) <= 63


def test_ties_go_to_even():
    spec = QuantSpec("int8", torch.tensor([0.5]), torch.tensor([0], dtype=torch.int32))
    x = torch.tensor([0.25, 0.75, 1.25, 1.75, -0.25, -0.75, -1.25])
    assert spec.quantize(x).tolist() == [0, 2, 2, 4, 0, -2, -2]


def test_ties_are_rounded_before_the_zero_point_is_added():
    spec = QuantSpec("int8", torch.tensor([0.5]), torch.tensor([3], dtype=torch.int32))
    assert spec.quantize(torch.tensor([0.25, 0.75])).tolist() == [3, 5]


def test_values_beyond_the_ends_are_clipped():
    spec = QuantSpec.affine(-1.0, 1.0, method="t")
    x = torch.tensor([-99.0, 99.0, -math.inf, math.inf])
    assert spec.quantize(x).tolist() == [-128, 127, -128, 127]


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero"),
    [
        (0.0, 255.0, 1.0, -128),
        (-255.0, 0.0, 1.0, 127),
        (-128.0, 127.0, 1.0, 0),
        (3.0, 5.1, 5.1 / 255, -128),
        (-5.1, -3.0, 5.1 / 255, 127),
        (0.0, 0.0, 1 / 128, -128),
        (2.55, 2.55, 0.01, -128),
        (-2.55, -2.55, 0.01, 127),
    ],
)
def test_affine_grids(low, high, scale, zero):
    spec = QuantSpec.affine(low, high, method="t")
    assert spec.scale.dtype is torch.float32
    assert spec.scale.tolist() == pytest.approx([scale])
    assert spec.zero_point.tolist() == [zero]


@given(ranges)
def test_sixteen_bits_have_their_zero_in_the_middle(ends):
    assert QuantSpec.affine(*ends, method="t", storage=INT16).zero_point.tolist() == [0]


def test_what_is_always_zero_has_it_too():
    spec = QuantSpec.affine(0.0, 0.0, method="t", storage=INT16)
    assert spec.quantize(torch.zeros(3)).tolist() == [0, 0, 0]
    with pytest.raises(ProgramError, match="zero point of 16 bits"):
        replace(spec, zero_point=torch.tensor([-32767], dtype=torch.int32))


@given(st.floats(-100, 100, allow_nan=False, width=32))
def test_a_constant_is_kept(value):
    spec = QuantSpec.affine(value, value, method="t")
    if abs(value) > 1e-6:
        assert spec.fake(torch.tensor([value])).item() == pytest.approx(value, rel=1e-5)


@given(st.lists(st.floats(2**-10, 16, width=32), min_size=3, max_size=3), st.integers(0, 2))
def test_one_scale_a_channel(scales, axis):
    spec = per_channel(scales, axis=axis)
    shape = [2, 2, 2]
    shape[axis] = 3
    x = torch.randn(shape)
    q = spec.quantize(x)
    for channel in range(3):
        part = x.select(axis, channel).numpy()
        wanted = np.clip(np.rint(part / np.float32(scales[channel])), -127, 127)
        np.testing.assert_array_equal(q.select(axis, channel).numpy(), wanted.astype(np.int8))
    assert torch.equal(spec.fake(x), spec.dequantize(q))


def test_symmetric_weights_leave_out_the_smallest_integer():
    assert per_channel([1.0]).q_min == -127
    assert per_channel([1.0], width=7).q_min == -63
    assert per_channel([1.0], width=7).q_max == 63
    assert per_channel([1.0]).quantize(torch.tensor([-500.0])).item() == -127


def test_large_biases_are_exact_integers():
    spec = per_channel([2.0**-20], dtype="int32", width=32)
    q = torch.tensor([2**29 - 2**6])  # 24 significant bits: a float32 holds its real value
    real = (q.double() * 2.0**-20).float()
    assert spec.quantize(real).item() == q.item()
    assert spec.quantize(torch.tensor([1e9])).item() == 2**31 - 1
    assert spec.quantize(torch.tensor([-1e9])).item() == -(2**31)


@given(tensors)
def test_half_precision(x):
    spec = QuantSpec("float16")
    assert torch.equal(spec.fake(x), x.half().float())
    assert spec.fake(x).dtype is torch.float32
    assert torch.equal(spec.dequantize(spec.quantize(x)), x.half().float())


def test_double_precision_values_are_rounded_once():
    """0.5 - 1e-9 is a tie in float32, and below it in float64."""
    spec = QuantSpec("int8", torch.tensor([1.0]), torch.tensor([0], dtype=torch.int32))
    x = torch.tensor([1.5 - 1e-9], dtype=torch.float64)
    assert spec.quantize(x).item() == 1
    assert spec.quantize(x.float()).item() == 2


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_must_be_finite_and_positive(scale):
    with pytest.raises(ProgramError, match="finite and above zero"):
        QuantSpec("int8", torch.tensor([scale]), torch.tensor([0], dtype=torch.int32))


@pytest.mark.parametrize(
    ("scale", "zero"), [(torch.ones(2), torch.zeros(1)), (torch.ones(1, 1), torch.zeros(1, 1))]
)
def test_scale_and_zero_point_belong_together(scale, zero):
    with pytest.raises(ProgramError, match="one length"):
        QuantSpec("int8", scale, zero.int())


@pytest.mark.parametrize("ends", [(math.nan, 1.0), (0.0, math.inf), (-math.inf, math.nan)])
def test_a_range_must_be_finite(ends):
    with pytest.raises(ProgramError, match="finite"):
        QuantSpec.affine(*ends, method="t")


def test_same_grid():
    spec = QuantSpec.affine(-1.0, 2.0, method="minmax")
    assert spec.same_grid(spec.with_method("mse"))
    assert not spec.same_grid(QuantSpec.affine(-1.0, 2.01, method="minmax"))
    assert not spec.same_grid(QuantSpec.affine(-1.0, 2.0, method="minmax", bits=7))
    assert not per_channel([1.0, 2.0]).same_grid(per_channel([1.0, 2.0], axis=1))
