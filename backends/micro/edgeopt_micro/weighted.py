"""Integer convolutions and linears: what their kernels need, packed for the core.

The arithmetic is `edgeopt.ir.integer`'s: exact int32 sums, one float32 factor a channel, one
rounding, ties to even. Where a core has no FPU, the same product is made of integers, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.contracts.storage import INT8
from edgeopt_micro import packing
from edgeopt_micro.calls import KernelCall
from edgeopt_micro.overlap import channel_distance, pixel_distance

if TYPE_CHECKING:
    from edgeopt_micro.core import Core

__all__ = ["Geometry", "Weights", "convolution", "max_pool"]

_HEADERS = ("edgeopt_scaled.h", "edgeopt_weighted.h", "edgeopt_window.h")
_PRODUCTS = {
    packing.PLAIN: ("edgeopt_products_plain.h",),
    packing.DSP: ("edgeopt_products_dsp.h",),
    packing.MVE: ("edgeopt_products_mve.h", "edgeopt_results_mve.h"),
}
_PIXELS = {packing.PLAIN: 2, packing.DSP: 4, packing.MVE: 2}
"""How many pixels a kernel computes at once: EDGEOPT_PIXELS of each of those headers."""


@dataclass(frozen=True)
class Geometry:
    """A convolution over channels-last memory of one sample; a linear has height and width 1.

    Attributes:
        batch: How many samples there are, one after another.
        in_size: Height and width of the input.
        out_size: Height and width of the output.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Height and width.
        stride: Down and across.
        padding: Above and to the left (below and to the right follow from ``out_size``).
        dilation: Down and across.
        groups: Groups of channels; ``in_channels`` of them is depthwise.
    """

    batch: int
    in_size: tuple[int, int]
    out_size: tuple[int, int]
    in_channels: int
    out_channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def depth(self) -> int:
        """Products of one sum."""
        return self.kernel[0] * self.kernel[1] * (self.in_channels // self.groups)

    @property
    def depthwise(self) -> bool:
        """Whether each group has one channel of the input."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def direct(self) -> bool:
        """Whether what a sum is of lies in one piece in the input, and none of it outside."""
        inside = all(
            padding == 0 and (out - 1) * stride + (kernel - 1) * dilation < size
            for padding, out, stride, kernel, dilation, size in zip(
                self.padding,
                self.out_size,
                self.stride,
                self.kernel,
                self.dilation,
                self.in_size,
                strict=True,
            )
        )
        (height, width), (down, across) = self.kernel, self.dilation
        row = width == 1 or (across == 1 and self.groups == 1)
        rows = height == 1 or (down == 1 and width == self.in_size[1] and self.groups == 1)
        return inside and row and rows


@dataclass(frozen=True)
class Weights:
    """The numbers of a weighted operator.

    Attributes:
        weight: int8 of shape (out_channels, kernel height, kernel width, in_channels / groups).
        bias: int32 of shape (out_channels,), on the grid of the sums.
        factor: float32 of shape (out_channels,): from sums to the output's integers.
        in_zero: Zero point of the input.
        out_zero: Zero point of the output.
        low: Lowest integer of the output, an activation's bound included.
        high: Highest.
    """

    weight: np.ndarray
    bias: np.ndarray
    factor: np.ndarray
    in_zero: int
    out_zero: int
    low: int
    high: int


def convolution(core: Core, geometry: Geometry, weights: Weights) -> KernelCall:
    """Returns the call of the kernel that computes a convolution or linear on a core.

    Raises:
        ValueError: A sum may not fit int32, or a factor is no positive finite number.
    """
    weights = _for_raw_inputs(weights)
    if geometry.depthwise:
        return _depthwise(core, geometry, weights)
    kind, groups = packing.packing_of(core), geometry.groups
    block = packing.CHANNELS[kind]
    per_group = geometry.out_channels // groups
    padded = -(-per_group // block) * block
    rows = weights.weight.reshape(groups, per_group, geometry.depth)
    packed = replace(
        weights,
        weight=np.concatenate([packing.PRODUCTS[kind](rows[g]) for g in range(groups)]),
        bias=_channels(weights.bias, groups, padded),
        factor=_channels(weights.factor, groups, padded),
    )
    return KernelCall(
        function="edgeopt_convolution",
        struct="edgeopt_weighted",
        fields=_fields(geometry, packed, padded),
        sources=("edgeopt_convolution.c", *_PRODUCTS[kind], *_HEADERS),
        scratch_bytes=_scratch_bytes(kind, geometry),
        overlaps={0: pixel_distance(geometry, _PIXELS[kind], copied=_copied(kind, geometry))},
    )


def max_pool(geometry: Geometry) -> KernelCall:
    """Returns the call of the kernel that computes a maximum pooling, which has no weights."""
    return KernelCall(
        function="edgeopt_max_pool",
        struct="edgeopt_weighted",
        fields=dict(_sizes(geometry)),
        sources=("edgeopt_pools.c", *_HEADERS),
        overlaps={0: pixel_distance(geometry, 1, copied=False)},
    )


def _depthwise(core: Core, geometry: Geometry, weights: Weights) -> KernelCall:
    taps = weights.weight.reshape(geometry.out_channels, geometry.depth).T
    function, more, block = "edgeopt_depthwise", list[str](), 1
    kind = packing.packing_of(core)
    single = geometry.out_channels == geometry.in_channels
    packed = np.ascontiguousarray(taps).reshape(-1)
    if kind == packing.DSP and single:
        function, block, packed = "edgeopt_depthwise_dsp", 4, packing.depthwise_dsp(taps)
    if kind == packing.MVE and single and int(taps.min()) > INT8.lowest:
        function, block, packed = "edgeopt_depthwise_mve", 8, packing.depthwise_mve(taps)
        more = ["edgeopt_results_mve.h"]
    padded = -(-geometry.out_channels // block) * block
    ordered = packing.even_odd if more else np.asarray
    weights = replace(
        weights,
        weight=packed,
        bias=ordered(_channels(weights.bias, 1, padded)),
        factor=ordered(_channels(weights.factor, 1, padded)),
    )
    address = 4 if core.triple.startswith(("thumb", "arm", "riscv32")) else 8
    copies = geometry.depth * (address + 4) if block == 4 and geometry.out_channels % 4 else 0  # noqa: PLR2004
    return KernelCall(
        function=function,
        struct="edgeopt_weighted",
        fields=_fields(geometry, weights, padded),
        sources=(f"{function}.c", "edgeopt_addresses.h", *more, *_HEADERS),
        scratch_bytes=geometry.depth * address + copies + geometry.in_channels,
        overlaps={
            0: channel_distance(geometry) if single else pixel_distance(geometry, 1, copied=False)
        },
    )


def _for_raw_inputs(weights: Weights) -> Weights:
    """Returns the weights with biases for sums over inputs whose zero point is not subtracted.

    Raises:
        ValueError: As `convolution`.
    """
    rows = weights.weight.reshape(weights.weight.shape[0], -1).astype(np.int64)
    bias = weights.bias.astype(np.int64) - weights.in_zero * rows.sum(axis=1)
    largest = np.abs(bias) - INT8.lowest * np.abs(rows).sum(axis=1)
    if int(largest.max()) > np.iinfo(np.int32).max:
        channel = int(largest.argmax())
        raise ValueError(
            f"sums of output channel {channel} may reach {int(largest[channel])}, and kernels add in "
            f"int32: a smaller bias or weight fits"
        )
    factor = weights.factor.astype(np.float32)
    if not bool(np.all(np.isfinite(factor) & (factor >= 0))):
        raise ValueError("a factor from sums to outputs is negative or not finite")
    return replace(weights, bias=bias.astype(np.int32), factor=factor)


def _channels(values: np.ndarray, groups: int, padded: int) -> np.ndarray:
    """Returns one value a channel, each group filled up with zeros to ``padded``."""
    rows = values.reshape(groups, -1)
    return np.pad(rows, ((0, 0), (0, padded - rows.shape[1]))).reshape(-1)


def _copied(kind: int, geometry: Geometry) -> bool:
    """Returns whether the windows of all pixels of a turn are copied before the first result is written."""
    return geometry.groups == 1 and (kind == packing.DSP or not geometry.direct)


def _scratch_bytes(kind: int, geometry: Geometry) -> int:
    """Returns the bytes of the windows of the pixels that are computed at a time."""
    if kind == packing.DSP:
        wide = 32 * -(-geometry.depth // 4)
        return wide + (0 if geometry.direct else geometry.depth)
    return 0 if geometry.direct else 2 * (-(-geometry.depth // 16) * 16)


def _fields(
    geometry: Geometry, weights: Weights, padded: int
) -> dict[str, int | float | np.ndarray]:
    """Returns the members of the C struct ``edgeopt_weighted``."""
    return {
        "weight": weights.weight,
        "bias": weights.bias,
        "factor": weights.factor,
        **_sizes(geometry),
        "padded": padded,
        "direct": int(geometry.direct),
        "in_zero": weights.in_zero,
        "out_zero": weights.out_zero,
        "low": weights.low - weights.out_zero,
        "high": weights.high - weights.out_zero,
        "narrow": int((weights.low, weights.high) != INT8.limits()),
    }


def _sizes(geometry: Geometry) -> dict[str, int]:
    """Returns those members that say how large everything is."""
    return {
        "batch": geometry.batch,
        "in_height": geometry.in_size[0],
        "in_width": geometry.in_size[1],
        "in_channels": geometry.in_channels,
        "out_height": geometry.out_size[0],
        "out_width": geometry.out_size[1],
        "out_channels": geometry.out_channels,
        "kernel_height": geometry.kernel[0],
        "kernel_width": geometry.kernel[1],
        "stride_y": geometry.stride[0],
        "stride_x": geometry.stride[1],
        "top": geometry.padding[0],
        "left": geometry.padding[1],
        "dilation_y": geometry.dilation[0],
        "dilation_x": geometry.dilation[1],
        "groups": geometry.groups,
        "group_in": geometry.in_channels // geometry.groups,
        "group_out": geometry.out_channels // geometry.groups,
        "depth": geometry.depth,
    }
