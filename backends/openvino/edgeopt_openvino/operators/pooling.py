"""What computes one value of many: pooling, sums, and resizing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import openvino.opset13 as op
import torch
from openvino import opset1

from edgeopt.lowering import NoRuleError
from edgeopt_openvino import parameters
from edgeopt_openvino.constants import array, numbers
from edgeopt_openvino.operator_rules import rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_openvino.emitter import Emitter

__all__ = ["MISFUSED_RANK"]

aten = torch.ops.aten


@rule(aten.max_pool2d.default)
def max_pool(e: Emitter, node: Any) -> Any:
    """The largest of each window."""
    x, kernel, stride, padding, dilation, _ = node.args
    value = _with_batch(e.value(x), x)
    if any(d != 1 for d in dilation):
        ends = _ends(node, stride, padding, _dilated(kernel, dilation))
        pooled = op.max_pool(value, stride, dilation, padding, ends, kernel, "floor").output(0)
    else:
        ends = _ends(node, stride, padding, kernel)
        pooled = opset1.max_pool(value, stride, padding, ends, kernel, "floor")
    return _without_batch(pooled, x)


@rule(aten.avg_pool2d.default)
def avg_pool(e: Emitter, node: Any) -> Any:
    """The mean of each window: of what lies inside, times what torch divides it by instead.

    Runtimes differ in what they count of padding and of windows that reach beyond it, and an integer kernel would
    pad with the integer 0, not with the number.
    """
    x, kernel, stride, padding = node.args[:4]
    ends = _ends(node, stride, padding, kernel)
    outside = any(padding) or any(ends)
    steps = _with_batch(_whole_steps(e, x, node), x)
    pooled = op.avg_pool(steps, stride, padding, ends, kernel, outside, "floor")
    factors = _share_of_window(node) if outside or node.args[6] is not None else None
    if factors is None:
        return _without_batch(_of_steps(e, node, pooled), x)
    return _without_batch(_of_steps(e, node, op.multiply(pooled, op.constant(factors))), x)


def _share_of_window(node: Any) -> Any:
    """Returns how many of its window's elements a mean has, over what torch divides by; None for all 1."""
    x, kernel, stride, padding, ceil_mode = node.args[:5]
    inside = torch.ones(1, 1, *x.meta["val"].shape[-2:])
    average = torch.nn.functional.avg_pool2d
    own = average(inside, kernel, stride, padding, ceil_mode, *node.args[5:7])
    return None if bool((own == 1).all()) else array(own)


def _with_batch(value: Any, x: Any) -> Any:
    if x.meta["val"].ndim == 4:  # noqa: PLR2004
        return value
    return op.unsqueeze(value, numbers([0]))


def _without_batch(value: Any, x: Any) -> Any:
    if x.meta["val"].ndim == 4:  # noqa: PLR2004
        return value
    return op.squeeze(value, numbers([0]))


def _whole_steps(e: Emitter, x: Any, node: Any) -> Any:
    """The value, in steps of its grid where the mean has the same one.

    The mean of an even number of integers often is a tie; of real numbers it is only nearly one.
    """
    spec = e.program.quant.get(node.name)
    return e.value(x) if spec is None else parameters.steps(spec, e.value(x))


def _of_steps(e: Emitter, node: Any, pooled: Any) -> Any:
    spec = e.program.quant.get(node.name)
    if spec is None:
        return pooled
    return op.multiply(op.round(pooled, "half_to_even"), op.constant(spec.scale[0].numpy()))


def _dilated(kernel: Any, dilation: Any) -> list[int]:
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]


def _ends(node: Any, stride: Any, padding: Any, window: Any) -> list[int]:
    """Returns the padding at the far ends that makes the output's known size."""
    size = node.args[0].meta["val"].shape[-2:]
    out = node.meta["val"].shape[-2:]
    spans = zip(out, stride, window, size, padding, strict=True)
    return [max(0, int((o - 1) * s + w - n - p)) for o, s, w, n, p in spans]


MISFUSED_RANK = 3
"""OpenVINO 2026.4 lets a reduction of three axes add or multiply the constant that follows, along the wrong one; so
it does with one of four over the channels and others."""


def _reduction(make: Callable[..., Any]) -> Callable[[Emitter, torch.fx.Node], Any]:
    def emit(e: Emitter, node: Any) -> Any:
        x, axes, keep = (
            (*node.args, [], False)[:3] if len(node.args) > 1 else (*node.args, [], False)
        )
        rank = x.meta["val"].ndim
        axes = [axes] if isinstance(axes, int) else (axes or range(rank))
        axes = [a % rank for a in axes]
        value = e.cast(e.value(x), node.meta["val"].dtype)
        picture = rank == MISFUSED_RANK + 1 and 1 in axes and len(axes) > 1
        if rank != MISFUSED_RANK and not picture:
            reduced = make(value, numbers(axes), bool(keep) or _loses_ones(node))
            return _shaped(reduced, node) if _loses_ones(node) else reduced
        return _by_matrix(make, value, axes, [list(v.meta["val"].shape) for v in (x, node)])

    return emit


def _loses_ones(node: Any) -> bool:
    """Returns whether OpenVINO, which carries a transpose through a reduction, would forget it here.

    It does where the axes that are left change places with axes of one element, and none is kept.
    """
    moved = node.args[0].target is aten.permute.default
    return moved and 1 in node.meta["val"].shape


def _shaped(value: Any, node: Any) -> Any:
    shape = [int(size) for size in node.meta["val"].shape]
    return op.reshape(value, numbers(shape), False)  # noqa: FBT003 (no zero stands for a size)


def _by_matrix(
    make: Callable[..., Any], value: Any, axes: list[int], shapes: list[list[int]]
) -> Any:
    """Returns a reduction of three axes by one of a matrix: no constant is fused with it."""
    shape, result = shapes
    rank = len(shape)
    first = sorted(axes) == list(range(len(axes)))
    if not first and sorted(axes) != list(range(rank - len(axes), rank)):
        order = [*(a for a in range(rank) if a not in axes), *axes]
        value, shape = op.transpose(value, numbers(order)), [shape[a] for a in order]
    cut = len(axes) if first else rank - len(axes)
    matrix = [math.prod(shape[:cut]), math.prod(shape[cut:])]
    flat = op.reshape(value, numbers(matrix), False)  # noqa: FBT003 (no zero stands for a size)
    reduced = make(flat, numbers([0 if first else 1]), False)  # noqa: FBT003 (does not keep it)
    return op.reshape(reduced, numbers(result), False)  # noqa: FBT003


rule(aten.mean.dim)(_reduction(op.reduce_mean))
rule(aten.sum.dim_IntList)(_reduction(op.reduce_sum))
rule(aten.amax.default)(_reduction(op.reduce_max))
rule(aten.amin.default)(_reduction(op.reduce_min))


@rule(aten.upsample_nearest2d.vec)
def upsample_nearest(e: Emitter, node: Any) -> Any:
    """Resizes by repeating the nearest value."""
    return _resized(e, node, "nearest", node.args[2], "asymmetric")


@rule(aten.upsample_bilinear2d.vec)
def upsample_bilinear(e: Emitter, node: Any) -> Any:
    """Resizes by straight lines between the four nearest values."""
    corners = "align_corners" if node.args[2] else "half_pixel"
    return _resized(e, node, "linear_onnx", node.args[3], corners)


def _resized(e: Emitter, node: Any, mode: str, factors: Any, corners: str) -> Any:
    size = numbers([int(d) for d in node.meta["val"].shape[-2:]])
    exact = factors is None or corners == "align_corners" or _whole(node, factors)
    if not exact:
        raise NoRuleError("resizing by a factor that does not give a whole size")
    return op.interpolate(
        e.value(node.args[0]),
        size,
        mode,
        "sizes",
        coordinate_transformation_mode=corners,
        nearest_mode="floor",
        axes=numbers([2, 3]),
    )


def _whole(node: Any, factors: Any) -> bool:
    size = node.args[0].meta["val"].shape[-2:]
    return all(float(n * f).is_integer() for n, f in zip(size, factors, strict=True))
