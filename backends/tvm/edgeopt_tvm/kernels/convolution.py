"""Convolutions of one or two dimensions, grouped or not, on channels-last arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import relax, te, tirx

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine

__all__ = ["Window", "convolution"]


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


def convolution(  # noqa: PLR0913 (what a convolution is made of)
    bb: relax.BlockBuilder,
    x: relax.Expr,
    weight: np.ndarray,
    machine: Machine,
    window: Window,
    *,
    fill: int = 0,
) -> relax.Var:
    """Returns the sums of a convolution, shape (batch, rows, columns, out channels).

    Args:
        bb: Where it is written.
        x: (batch, rows, columns, channels); float32, or int8 or uint8 as ``machine.activations``.
        weight: (out channels, kernel rows, kernel columns, channels of a group); float32 or int8.
        machine: What code is made for.
        window: Strides, padding, dilation and groups.
        fill: What stands in the padding; an integer input's zero point.

    Returns:
        float32 for float32, else int32: products of raw integers, no zero point taken off.
    """
    packed = relax.const(np.ascontiguousarray(weight.transpose(1, 2, 3, 0)))

    def compute(data: te.Tensor, kernel: te.Tensor) -> te.Tensor:
        return _naive(data, kernel, window, fill)

    return bb.emit_te(compute, x, packed, primfunc_name_hint="convolution")


def _naive(data: te.Tensor, kernel: te.Tensor, window: Window, fill: int) -> te.Tensor:
    n, h, w, c = (int(d) for d in data.shape)
    kh, kw, cg, o = (int(d) for d in kernel.shape)
    top, left, bottom, right = window.padding
    (sh, sw), (dh, dw) = window.strides, window.dilation
    oh = (h + top + bottom - dh * (kh - 1) - 1) // sh + 1
    ow = (w + left + right - dw * (kw - 1) - 1) // sw + 1
    padded = data
    if any(window.padding):
        padded = te.compute(
            (n, h + top + bottom, w + left + right, c),
            lambda b, y, x, ch: tirx.if_then_else(
                tirx.all(y >= top, y < h + top, x >= left, x < w + left),
                data[b, y - top, x - left, ch],
                tirx.const(fill, data.dtype),
            ),
            name="pad",
        )
    ry, rx, rc = (te.reduce_axis((0, e), name=a) for e, a in ((kh, "ry"), (kw, "rx"), (cg, "rc")))
    kind = "float32" if str(data.dtype) == "float32" else "int32"
    of_group = o // window.groups
    return te.compute(
        (n, oh, ow, o),
        lambda b, y, x, ch: te.sum(
            padded[b, y * sh + ry * dh, x * sw + rx * dw, ch // of_group * cg + rc].astype(kind)
            * kernel[ry, rx, rc, ch].astype(kind),
            axis=(ry, rx, rc),
        ),
        name="conv",
    )
