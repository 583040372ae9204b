"""Random convolutions and linears with the results that `edgeopt.ir.integer` gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import integer
from edgeopt_micro.weighted import Geometry, Weights

__all__ = ["Case", "grid", "make_case", "random_geometry"]

_LOW, _HIGH = INT8.limits()


@dataclass(frozen=True)
class Case:
    """A weighted operator, an input, and the output that must come of it, int8 both."""

    geometry: Geometry
    weights: Weights
    input: np.ndarray
    expected: np.ndarray


def make_case(geometry: Geometry, rng: np.random.Generator, *, ties: bool = False) -> Case:
    """Returns an operator with random numbers; with ``ties``, half of the results are ties."""
    shape = (geometry.out_channels, *geometry.kernel, geometry.in_channels // geometry.groups)
    size = (geometry.batch, *geometry.in_size, geometry.in_channels)
    reach = float(rng.choice([15.0, 40.0, 300.0])) / (74 * 110 * np.sqrt(geometry.depth))
    factor = reach * rng.uniform(0.3, 1.5, geometry.out_channels)
    if ties:
        factor = 2.0 ** np.floor(np.log2(factor))
    low = int(rng.choice([_LOW, _LOW, -100]))
    weights = Weights(
        weight=rng.integers(
            rng.choice([INT8.limits(narrow=True)[0], _LOW]), _HIGH + 1, shape
        ).astype(np.int8),
        bias=rng.integers(-8000, 8000, geometry.out_channels).astype(np.int32),
        factor=factor.astype(np.float32),
        in_zero=int(rng.choice([_LOW, _HIGH, 0, int(rng.integers(_LOW, _HIGH + 1))])),
        out_zero=int(rng.choice([_LOW, _HIGH, *rng.integers(-100, 100, 4)])),
        low=low,
        high=_HIGH if low == _LOW else 90,
    )
    x = rng.integers(_LOW, _HIGH + 1, size).astype(np.int8)
    if rng.random() < 0.2:  # noqa: PLR2004 (all extremes: the largest sums that there are)
        x = np.where(x < 0, _LOW, _HIGH).astype(np.int8)
        sign = np.where(weights.weight < 0, _LOW, _HIGH).astype(np.int8)
        weights = replace(weights, weight=sign, factor=weights.factor / 3)
    return Case(geometry, weights, x, expected(geometry, weights, x))


def expected(geometry: Geometry, weights: Weights, x: np.ndarray) -> np.ndarray:
    """Returns the output, int8 of shape (batch, out height, out width, out channels)."""
    weight = torch.from_numpy(weights.weight).permute(0, 3, 1, 2).float()
    node = _node(geometry)
    values = torch.from_numpy(x.astype(np.float32) - weights.in_zero).permute(0, 3, 1, 2)
    values = torch.nn.functional.pad(values, _pads(geometry))
    total = integer.sums(node, values, weight, integer.largest_sum(node, weight))
    ones = torch.ones(geometry.out_channels)
    total = total + integer.spread_along(torch.from_numpy(weights.bias).double(), 1, 4)
    result = integer.scaled_sums(
        node, total, None, ones * torch.from_numpy(weights.factor), torch.ones(1)
    )
    bounded = (result + weights.out_zero).clamp(weights.low, weights.high)
    return np.ascontiguousarray(bounded.permute(0, 2, 3, 1).numpy().astype(np.int8))


def _pads(geometry: Geometry) -> tuple[int, int, int, int]:
    """Returns the padding left, right, above, below; negative where the input's end is not used."""
    after = [
        (out - 1) * stride + (kernel - 1) * dilation + 1 - size - before
        for out, stride, kernel, dilation, size, before in zip(
            geometry.out_size,
            geometry.stride,
            geometry.kernel,
            geometry.dilation,
            geometry.in_size,
            geometry.padding,
            strict=True,
        )
    ]
    return geometry.padding[1], after[1], geometry.padding[0], after[0]


def _node(geometry: Geometry) -> torch.fx.Node:
    graph = torch.fx.Graph()
    x, w = graph.placeholder("x"), graph.placeholder("w")
    arguments = (
        x,
        w,
        None,
        list(geometry.stride),
        [0, 0],
        list(geometry.dilation),
        geometry.groups,
    )
    return graph.call_function(torch.ops.aten.conv2d.default, arguments)


def random_geometry(rng: np.random.Generator, largest: int = 12) -> Geometry:
    """Returns a convolution, depthwise one, linear or 1-D one of at most ``largest`` pixels a side."""
    kind = rng.choice(
        ["dense", "grouped", "depthwise", "multiplied", "linear", "pointwise", "line"]
    )
    channels = int(rng.integers(1, 21))
    if kind == "linear":
        inputs = int(rng.integers(1, 200))
        return Geometry(int(rng.integers(1, 7)), (1, 1), (1, 1), inputs, int(rng.integers(1, 24)))
    groups, outputs = 1, int(rng.integers(1, 21))
    if kind in {"depthwise", "multiplied"}:
        groups = channels
        outputs = channels * (1 if kind == "depthwise" else int(rng.integers(2, 4)))
    if kind == "grouped":
        groups = int(rng.integers(2, 4))
        channels, outputs = groups * int(rng.integers(1, 8)), groups * int(rng.integers(1, 8))
    kernel = (1, 1) if kind == "pointwise" else (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    flat = kind == "line"
    return _with_sizes(
        rng, largest, (channels, outputs, groups), (1, kernel[1]) if flat else kernel
    )


def _with_sizes(
    rng: np.random.Generator,
    largest: int,
    channels: tuple[int, int, int],
    kernel: tuple[int, int],
) -> Geometry:
    """Returns a convolution whose output has pixels, with random stride, padding and dilation."""
    dilation = tuple(int(rng.choice([1, 1, 2])) for _ in range(2))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = [int(rng.integers(0, r)) for r in reach]
    after = [int(rng.integers(0, r)) for r in reach]
    least = [max(1, r - a - b) for r, a, b in zip(reach, padding, after, strict=True)]
    size = [int(rng.integers(n, max(n, largest) + 1)) for n in least]
    if kernel[0] == 1:
        size[0] = int(rng.choice([1, size[0]]))
    stride = tuple(int(rng.integers(1, 4)) for _ in range(2))
    out = tuple(
        (n + a + b - r) // s + 1
        for n, a, b, r, s in zip(size, padding, after, reach, stride, strict=True)
    )
    return Geometry(
        batch=int(rng.choice([1, 1, 2])),
        in_size=(size[0], size[1]),
        out_size=(out[0], out[1]),
        in_channels=channels[0],
        out_channels=channels[1],
        kernel=kernel,
        stride=(stride[0], stride[1]),
        padding=(padding[0], padding[1]),
        dilation=(dilation[0], dilation[1]),
        groups=channels[2],
    )


def grid() -> list[Geometry]:
    """Returns layers that networks have, and edges that chance rarely finds."""
    return [
        Geometry(1, (25, 5), (25, 5), 8, 16),
        Geometry(1, (9, 5), (9, 5), 20, 20, (3, 3), padding=(1, 1), groups=20),
        Geometry(1, (9, 6), (5, 3), 16, 16, (3, 3), (2, 2), (0, 0), groups=16),
        Geometry(1, (49, 10), (25, 5), 1, 8, (10, 4), (2, 2), (4, 1)),
        Geometry(1, (9, 9), (5, 5), 3, 8, (3, 3), (2, 2), (1, 1)),
        Geometry(1, (5, 5), (5, 5), 16, 8, (3, 3), padding=(1, 1)),
        Geometry(1, (1, 1), (1, 1), 640, 12),
        Geometry(3, (1, 1), (1, 1), 33, 5),
        Geometry(1, (1, 1), (1, 1), 1, 1),
        Geometry(1, (4, 4), (1, 1), 5, 7, (4, 4)),
        Geometry(1, (1, 40), (1, 17), 6, 9, (1, 8), (1, 2)),
        Geometry(1, (4, 4), (4, 4), 4, 4, (7, 7), padding=(3, 3), groups=4),
        Geometry(1, (1, 1), (3, 3), 4, 4, (1, 1), padding=(1, 1)),
        Geometry(1, (3, 3), (2, 2), 4, 4, (1, 1), (3, 3)),
    ]
