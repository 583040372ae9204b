"""How far an output must lie before an input to be written over it: no byte before it was read for the last time.

A kernel's work is a row of turns. If an output starts ``distance`` bytes before an input at least, what
a turn writes lies before all that later turns read (Blacker, Bridges and Hadjis, "Diagonal Memory
Optimisation", 2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_micro.weighted import Geometry

__all__ = ["ANYWHERE", "channel_distance", "pixel_distance", "safe_distance", "window_starts"]

ANYWHERE = -(2**31)
"""The distance of an output that may lie anywhere: everything is read before anything is written."""


def safe_distance(ends: np.ndarray, starts: np.ndarray, *, reads_first: bool) -> int:
    """Returns the least distance that is safe; negative where the output may start behind the input.

    Args:
        ends: For each turn the first byte of the output behind those that it writes.
        starts: For each turn the first byte of the input that it reads.
        reads_first: Whether a turn writes only when it has read everything.
    """
    written = np.maximum.accumulate(ends)
    unread = np.minimum.accumulate(starts[::-1])[::-1]
    if reads_first:
        written, unread = written[:-1], unread[1:]
    return int((written - unread).max(initial=ANYWHERE))


def window_starts(
    batch: int,
    in_size: Sequence[int],
    out_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> np.ndarray:
    """Returns the first pixel that the window of each output pixel may read, in their order, samples too."""
    rows, columns = (
        np.clip(np.arange(out) * step - before, 0, size - 1)
        for out, step, before, size in zip(out_size, stride, padding, in_size, strict=True)
    )
    images = np.arange(batch, dtype=np.int64) * in_size[0] * in_size[1]
    starts = images[:, None, None] + rows[:, None] * in_size[1] + columns
    return np.ravel(starts)


def pixel_distance(geometry: Geometry, pixels: int, *, copied: bool) -> int:
    """Returns the distance of a kernel for convolutions whose turns compute a few pixels each.

    Args:
        geometry: Of the convolution.
        pixels: How many pixels a turn computes; the last ones, if fewer are left, one each.
        copied: Whether a turn copies all that it reads before it writes.
    """
    starts, ends = _pixels(geometry)
    turns = _turns(len(starts), pixels)
    lasts = np.append(turns[1:], len(starts)) - 1
    distance = safe_distance(ends[lasts], np.minimum.reduceat(starts, turns), reads_first=copied)
    return max(distance, safe_distance(ends, starts, reads_first=True))  # on the host


def channel_distance(geometry: Geometry) -> int:
    """Returns the distance of a depthwise kernel, which reads some channels of a pixel, then writes them."""
    starts, ends = _pixels(geometry)
    channels = np.arange(geometry.out_channels)
    reads = (starts[:, None] + channels).reshape(-1)
    distance = safe_distance(np.arange(1, len(reads) + 1), reads, reads_first=True)
    # On the host (edgeopt_portable.c) each pixel is read, then written.
    return max(distance, safe_distance(ends, starts, reads_first=True))


def _pixels(geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Returns of each output pixel the first byte that it reads, and the end of those that it writes."""
    starts = geometry.in_channels * window_starts(
        geometry.batch, geometry.in_size, geometry.out_size, geometry.stride, geometry.padding
    )
    return starts, geometry.out_channels * np.arange(1, len(starts) + 1)


def _turns(count: int, pixels: int) -> np.ndarray:
    """Returns the first pixel of each turn."""
    whole = count // pixels * pixels
    return np.concatenate([np.arange(0, whole, pixels), np.arange(whole, count)])
