"""Convolutions by every point of their spaces, against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeopt_tvm.kernels import Window, configurations, convolution, scheduled

pytestmark = pytest.mark.slow

SHAPES = [
    # batch, rows, columns, channels, out, kernel, stride, dilation, groups
    pytest.param(1, 14, 14, 24, 48, 1, 1, 1, 1, id="pointwise"),
    pytest.param(2, 8, 8, 16, 32, 3, 1, 1, 1, id="batch"),
    pytest.param(1, 15, 17, 5, 10, 3, 2, 1, 1, id="odd"),
    pytest.param(1, 9, 9, 3, 13, 3, 1, 2, 1, id="dilated"),
    pytest.param(1, 1, 1, 37, 21, 1, 1, 1, 1, id="one-pixel"),
    pytest.param(1, 12, 12, 32, 32, 3, 1, 1, 32, id="depthwise"),
    pytest.param(1, 13, 11, 24, 24, 5, 2, 1, 24, id="depthwise-strided"),
    pytest.param(1, 7, 7, 7, 7, 3, 1, 1, 7, id="depthwise-odd"),
    pytest.param(1, 8, 8, 12, 24, 3, 1, 1, 4, id="grouped"),
    pytest.param(1, 6, 6, 8, 16, 3, 1, 1, 8, id="two-a-channel"),
]


def _case(shape, kind, machine, *, fill=0):
    n, h, w, c, o, k, stride, dilation, groups = shape
    rng = np.random.default_rng(0)
    pad = dilation * (k - 1) // 2
    window = Window((stride, stride), (pad, pad, pad, pad), (dilation, dilation), groups)
    if kind == "float32":
        x = rng.standard_normal((n, h, w, c)).astype(np.float32)
        weight = rng.standard_normal((o, k, k, c // groups)).astype(np.float32)
    else:
        x = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (n, h, w, c)).astype(kind)
        weight = rng.integers(-127, 128, (o, k, k, c // groups)).astype(np.int8)
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=fill)
    wanted = torch.nn.functional.conv2d(
        torch.from_numpy(padded).permute(0, 3, 1, 2).double(),
        torch.from_numpy(weight).permute(0, 3, 1, 2).double(),
        stride=stride,
        dilation=dilation,
        groups=groups,
    )
    return x, weight, window, wanted.permute(0, 2, 3, 1).numpy()


def _some(points):
    """The default, the last, and a few in between."""
    return [points[i] for i in sorted({0, len(points) // 3, 2 * len(points) // 3, len(points) - 1})]


def _each(kernel):
    points = configurations(kernel.function, kernel.machine)
    return _some(points) if points else [None]


@pytest.mark.parametrize("shape", [pytest.param(p.values, id=p.id) for p in SHAPES])
def test_float(shape, fuse, machine):
    x, weight, window, wanted = _case(shape, "float32", machine)
    kernel = fuse([(x.shape, "float32")], lambda bb, v: convolution(bb, v, weight, machine, window))
    for config in _each(kernel):
        got = kernel.run(scheduled(kernel.function, machine, config), x)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4, err_msg=str(config))


@pytest.mark.parametrize("shape", [pytest.param(p.values, id=p.id) for p in SHAPES])
@pytest.mark.parametrize("stored", ["bytes", "int16"])
def test_integers_are_exact(shape, stored, fuse, requantized, machine):
    kind, out = machine.activations if stored == "bytes" else stored, shape[4]
    x, weight, window, sums = _case(shape, kind, machine, fill=9)
    rng = np.random.default_rng(1)
    bias = rng.integers(-3000, 3000, out).astype(np.int32)
    multiplier = rng.uniform(1e-4, 1e-3, out).astype(np.float32)

    def write(bb, v):
        raw = convolution(bb, v, weight, machine, window, fill=9)
        return requantized(bb, raw, bias, multiplier, 5, kind)

    kernel = fuse([(x.shape, kind)], write)
    steps = np.rint((sums + bias).astype(np.float32) * multiplier).astype(np.int32) + 5
    wanted = np.clip(steps, np.iinfo(kind).min, np.iinfo(kind).max)
    for config in _each(kernel):
        got = kernel.run(scheduled(kernel.function, machine, config), x)
        np.testing.assert_array_equal(got, wanted, err_msg=str(config))


def test_extremes_do_not_saturate(fuse, machine):
    kind = machine.activations
    x = np.full((1, 4, 4, 64), np.iinfo(kind).max, kind)
    weight = np.full((32, 3, 3, 64), -127, np.int8)
    window = Window(padding=(1, 1, 1, 1))
    kernel = fuse([(x.shape, kind)], lambda bb, v: convolution(bb, v, weight, machine, window))
    got = kernel.run(scheduled(kernel.function, machine), x)
    assert got[0, 1, 1, 0] == -127 * np.iinfo(kind).max * 9 * 64


def test_a_reader_of_another_shape_is_not_tiled_with_the_sums(fuse, machine):
    from tvm import relax

    weight = np.random.default_rng(0).standard_normal((16, 1, 1, 8)).astype(np.float32)
    big = np.random.default_rng(1).standard_normal((1, 6, 6, 16)).astype(np.float32)
    x = np.random.default_rng(2).standard_normal((1, 1, 1, 8)).astype(np.float32)

    def write(bb, v, other):
        gate = convolution(bb, v, weight, machine, Window())
        return relax.op.multiply(gate, other)

    kernel = fuse([(x.shape, "float32"), (big.shape, "float32")], write)
    function = kernel.function
    order = [x, big] if tuple(int(d) for d in function.params[1].shape) == big.shape else None
    gate = x.reshape(8) @ weight.reshape(16, 8).T
    if order is None:  # the weight stands between
        kernel.constants = [*kernel.constants, big]
        order = [x]
    got = kernel.run(scheduled(function, machine), *order)
    np.testing.assert_allclose(got, big * gate, rtol=1e-5, atol=1e-5)
