"""Convolutions of one or two dimensions, grouped or not, on channels-last arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax, te, tirx

from edgeopt.contracts.storage import INT32
from edgeopt_tvm.kernels.packing import packing_of
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine

__all__ = ["Window", "accumulator", "convolution", "trimmed"]

_WIDE = "float64"
"""What deep sums are held in, exactly: integers below 2**53."""


@dataclass(frozen=True)
class Window:
    """How a convolution moves over rows and columns.

    Attributes:
        strides: Of rows and columns.
        padding: Above, left, below, right.
        dilation: Of rows and columns.
        groups: Groups of channels.
    """

    strides: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def output(self, shape: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
        """Returns rows and columns of the output for an input of ``shape``."""
        top, left, bottom, right = self.padding
        rows, columns = (
            (size + pad - step * (width - 1) - 1) // stride + 1
            for size, pad, step, width, stride in zip(
                shape,
                (top + bottom, left + right),
                self.dilation,
                kernel,
                self.strides,
                strict=True,
            )
        )
        return rows, columns


def convolution(  # noqa: PLR0913 (what a convolution is, and how it is made)
    bb: relax.BlockBuilder,
    x: relax.Expr,
    weight: np.ndarray,
    machine: Machine,
    window: Window,
    *,
    fill: int = 0,
    first: int = 0,
    deep: bool = False,
) -> relax.Var:
    """Returns the sums of a convolution, shape (batch, rows, columns, out channels).

    Args:
        bb: Where it is written.
        x: (batch, rows, columns, channels); float32, int16, or int8 or uint8 as ``machine.activations``.
        weight: (out channels, kernel rows, kernel columns, channels of a group); float32, int8,
            or float16, which is converted as it is read. With a float32 ``x`` it may be any of them.
        machine: What code is made for.
        window: Strides, padding, dilation and groups.
        fill: What stands in the padding; an integer input's zero point.
        first: The first channel that is read, where there are no groups.
        deep: Whether sums of integers may exceed 32 bits.

    Returns:
        float32 for float32, else int32, or float64 of deep sums: products of raw integers, no zero point
        taken off.
    """
    out, _, _, of_group = (int(d) for d in weight.shape)
    sums = _WIDE if deep else ""
    if window.groups == 1 and not deep:
        packing = packing_of(weight, machine, str(x.ty.dtype))
        values, compute = packing.pack(weight), _direct(window, fill, weight.shape, first)
    elif of_group == 1 and out == window.groups:
        wide = "int32" if machine.arch == "x86_64" else "int16"  # what is multiplied at once
        values, compute = weight[..., 0].transpose(1, 2, 0), _depthwise(window, fill, wide, sums)
    else:
        values, compute = weight.transpose(1, 2, 3, 0), _grouped(window, fill, sums)
    constant = constant_of(np.ascontiguousarray(values))
    return bb.emit_te(compute, x, constant, primfunc_name_hint="convolution")


def accumulator(data: te.Tensor) -> str:
    """Returns the dtype in which products of ``data`` are summed."""
    return "float32" if str(data.dtype) == "float32" else "int32"


def product(a: Any, b: Any, kind: str) -> Any:
    """Returns a times b in ``kind``; bytes go by 16 bits, which processors widen as they multiply."""
    if kind == INT32.name:
        a, b = a.astype("int16"), b.astype("int16")
    if kind == _WIDE:
        return (a.astype("int32") * b.astype("int32")).astype(kind)
    return a.astype(kind) * b.astype(kind)


def trimmed(sums: te.Tensor, shape: tuple[int, ...]) -> te.Tensor:
    """Returns the first elements of ``sums`` along each axis, where it has more than ``shape``."""
    if tuple(int(d) for d in sums.shape) == shape:
        return sums
    return te.compute(shape, lambda *i: sums(*i), name="trim")  # noqa: PLW0108 (TE counts its arguments)


def _padded(
    data: te.Tensor,
    window: Window,
    fill: int,
    channels: int,
    kind: str = "",
    own: tuple[int, int] | None = None,
) -> te.Tensor:
    """Returns ``data`` with what is around it.

    Args:
        data: The data.
        window: What says how much.
        fill: What stands around it.
        channels: How many it has then.
        kind: Its dtype then; by default its own.
        own: The first channel that is read, and how many; by default all of them.
    """
    n, h, w, every = (int(d) for d in data.shape)
    first, c = own or (0, every)
    top, left, bottom, right = window.padding
    if not any(window.padding) and channels == c == every and not kind:
        return data
    kind = kind or str(data.dtype)

    def at(b: Any, y: Any, x: Any, ch: Any) -> Any:
        inside = []
        if top or bottom:
            inside += [y >= top, y < h + top]
        if left or right:
            inside += [x >= left, x < w + left]
        if channels != c:
            inside += [ch < c]
        value = data[b, y - top, x - left, ch + first].astype(kind)
        return (
            tirx.if_then_else(tirx.all(*inside), value, tirx.const(fill, kind)) if inside else value
        )

    return te.compute((n, h + top + bottom, w + left + right, channels), at, name="pad")


def _direct(window: Window, fill: int, shape: tuple[int, ...], first: int) -> Any:
    out, _, _, own = shape

    def compute(data: te.Tensor, packed: te.Tensor) -> te.Tensor:
        blocks, rows, columns, groups, lanes, group = (int(d) for d in packed.shape)
        n, h, w, _ = (int(d) for d in data.shape)
        padded = _padded(data, window, fill, groups * group, own=(first, own))
        oh, ow = window.output((h, w), (rows, columns))
        (sh, sw), (dh, dw) = window.strides, window.dilation
        kind = accumulator(data)
        ry, rx = te.reduce_axis((0, rows), name="ry"), te.reduce_axis((0, columns), name="rx")
        rc = te.reduce_axis((0, groups * group), name="rc")

        def at(b: Any, y: Any, x: Any, o: Any) -> Any:
            value = padded[b, y * sh + ry * dh, x * sw + rx * dw, rc]
            weight = packed[o // lanes, ry, rx, rc // group, o % lanes, rc % group]
            if group > 1:  # as the instruction is described
                return te.sum(value.astype(kind) * weight.astype(kind), axis=(ry, rx, rc))
            return te.sum(product(value, weight, kind), axis=(ry, rx, rc))

        sums = te.compute(
            (n, oh, ow, blocks * lanes),
            at,
            name="direct",
            attrs={"edgeopt.lanes": lanes, "edgeopt.group": group},
        )
        return trimmed(sums, (n, oh, ow, out))

    return compute


def _depthwise(window: Window, fill: int, wide: str, sums: str) -> Any:
    def compute(data: te.Tensor, kernel: te.Tensor) -> te.Tensor:
        rows, columns, channels = (int(d) for d in kernel.shape)
        n, h, w, _ = (int(d) for d in data.shape)
        kind = sums or accumulator(data)
        padded = _padded(data, window, fill, channels, _multiplied(kind, wide))
        oh, ow = window.output((h, w), (rows, columns))
        (sh, sw), (dh, dw) = window.strides, window.dilation
        ry, rx = te.reduce_axis((0, rows), name="ry"), te.reduce_axis((0, columns), name="rx")

        def at(b: Any, y: Any, x: Any, c: Any) -> Any:
            value = padded[b, y * sh + ry * dh, x * sw + rx * dw, c]
            weight = kernel[ry, rx, c].astype(padded.dtype)
            return te.sum(value.astype(kind) * weight.astype(kind), axis=(ry, rx))

        return te.compute((n, oh, ow, channels), at, name="depthwise")

    return compute


def _multiplied(kind: str, wide: str) -> str:
    """Returns the dtype of numbers whose products are summed in ``kind``."""
    return {INT32.name: wide, _WIDE: INT32.name}.get(kind, kind)


def _grouped(window: Window, fill: int, sums: str) -> Any:
    def compute(data: te.Tensor, kernel: te.Tensor) -> te.Tensor:
        rows, columns, of_group, out = (int(d) for d in kernel.shape)
        n, h, w, channels = (int(d) for d in data.shape)
        padded = _padded(data, window, fill, channels)
        oh, ow = window.output((h, w), (rows, columns))
        (sh, sw), (dh, dw) = window.strides, window.dilation
        kind, outs = sums or accumulator(data), out // window.groups
        ry, rx = te.reduce_axis((0, rows), name="ry"), te.reduce_axis((0, columns), name="rx")
        rc = te.reduce_axis((0, of_group), name="rc")
        return te.compute(
            (n, oh, ow, out),
            lambda b, y, x, o: te.sum(
                product(
                    padded[b, y * sh + ry * dh, x * sw + rx * dw, o // outs * of_group + rc],
                    kernel[ry, rx, rc, o],
                    kind,
                ),
                axis=(ry, rx, rc),
            ),
            name="grouped",
        )

    return compute
