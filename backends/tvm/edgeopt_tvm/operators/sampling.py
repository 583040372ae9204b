"""Values between the places of an image or a volume, where a grid of coordinates says."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from tvm import tirx

from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.arguments import Source, arguments, computed
from edgeopt_tvm.scalars import f32

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_BILINEAR, _NEAREST = 0, 1
_ZEROS, _BORDER = 0, 1
_CUBIC = -0.75
"""The parameter of the cubic kernel, as torch has it."""


@rule(aten.grid_sampler.default, aten.grid_sampler_3d.default)
def grid_sampler(e: Emitter, node: Any) -> None:
    """What ``torch.nn.functional.grid_sample`` makes of images (4 axes) and volumes (5)."""
    a = arguments(node)
    image, grid = Source(e, a["input"]), Source(e, a["grid"])
    sizes = image.shape[2:]
    mode, padding = int(a["interpolation_mode"]), int(a["padding_mode"])
    aligned = bool(a["align_corners"])

    def at(picture: Any, where: Any, index: list[Any]) -> Any:
        batch, channel, *place = index
        # The grid counts the last axis first.
        coordinates = [grid.at(where, [batch, *place, k]) for k in range(len(sizes))][::-1]
        points = [_unscaled(g, n, aligned=aligned) for g, n in zip(coordinates, sizes, strict=True)]
        axes = [
            _taps(p, n, mode, padding, aligned=aligned) for p, n in zip(points, sizes, strict=True)
        ]
        total: Any = f32(0.0)
        for taps in product(*axes):
            weight: Any = f32(1.0)
            for _, share in taps:
                weight = weight * share
            total = total + weight * _number(image, picture, [batch, channel], taps, sizes)
        return total

    e.put(node, computed(e, "sampled", e.shape(node), at, image.expr, grid.expr))


def _number(image: Source, picture: Any, first: list[Any], taps: Any, sizes: Any) -> Any:
    """Returns the number at a place, zero beside the image."""
    inside, places = [], []
    for (place, _), size in zip(taps, sizes, strict=True):
        whole = tirx.max(tirx.min(place, f32(size)), f32(-1)).astype("int32")
        inside += [whole >= 0, whole < size]
        places.append(tirx.max(tirx.min(whole, size - 1), 0))
    return tirx.if_then_else(tirx.all(*inside), image.at(picture, [*first, *places]), f32(0.0))


def _unscaled(coordinate: Any, size: int, *, aligned: bool) -> Any:
    """Returns where -1 to 1 is, counted in places."""
    if aligned:
        return (coordinate + f32(1)) / f32(2) * f32(size - 1)
    return ((coordinate + f32(1)) * f32(size) - f32(1)) / f32(2)


def _taps(
    point: Any, size: int, mode: int, padding: int, *, aligned: bool
) -> list[tuple[Any, Any]]:
    """Returns the places along an axis that are read, whole numbers as floats, and their shares."""
    if mode not in (_BILINEAR, _NEAREST):
        first = tirx.floor(point)
        part = point - first
        places = (first + f32(k) for k in (-1, 0, 1, 2))
        folded = [_folded(p, size, padding, aligned=aligned) for p in places]
        return list(zip(folded, _cubic(part), strict=True))
    point = _folded(point, size, padding, aligned=aligned)
    if mode == _NEAREST:
        return [(tirx.nearbyint(point), f32(1.0))]
    first = tirx.floor(point)
    part = point - first
    return [(first, f32(1.0) - part), (first + f32(1), part)]


def _folded(point: Any, size: int, padding: int, *, aligned: bool) -> Any:
    """Returns where a point beside the image is read."""
    if padding == _ZEROS:
        return point
    if padding != _BORDER:
        point = _reflected(point, size, aligned=aligned)
    return tirx.max(tirx.min(point, f32(size - 1)), f32(0))


def _reflected(point: Any, size: int, *, aligned: bool) -> Any:
    low, span = (0.0, float(size - 1)) if aligned else (-0.5, float(size))
    if span == 0:
        return f32(0.0)
    offset = tirx.abs(point - f32(low))
    times = tirx.floor(offset / f32(span))
    rest = offset - times * f32(span)
    is_even = times - f32(2) * tirx.floor(times / f32(2)) < f32(0.5)
    return tirx.Select(is_even, rest + f32(low), f32(span) - rest + f32(low))


def _cubic(t: Any) -> list[Any]:
    """Returns the shares of the four places around a point, ``t`` behind the second."""

    def inner(x: Any) -> Any:
        return ((f32(_CUBIC + 2) * x - f32(_CUBIC + 3)) * x) * x + f32(1)

    def outer(x: Any) -> Any:
        return ((f32(_CUBIC) * x - f32(5 * _CUBIC)) * x + f32(8 * _CUBIC)) * x - f32(4 * _CUBIC)

    one = f32(1)
    return [outer(t + one), inner(t), inner(one - t), outer(f32(2) - t)]
