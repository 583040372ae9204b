"""Pictures in another size, without antialias: each pixel is made of its nearest ones only.

Pillow's own resizes look at all pixels that are merged. OpenCV and `torch.nn.functional.interpolate`
do not; detectors are trained on theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["axis_weights", "resize_plain"]

_BITS = 2048  # OpenCV's weights of whole pixels have 11 bits
_CUBIC = -0.75  # of OpenCV and torch; Pillow's is -0.5


def resize_plain(pixels: Any, size: tuple[int, int], interpolation: str) -> Any:
    """Returns ``pixels``, (height, width, channels), as (rows, columns, channels).

    uint8 stays uint8. Of it ``bilinear`` is `cv2.INTER_LINEAR` to the bit: fixed point, 11 bits.

    Args:
        pixels: uint8 or float32.
        size: Rows and columns.
        interpolation: ``nearest`` (the pixel below, as torch's), ``bilinear`` or ``bicubic``.
    """
    if interpolation == "nearest":
        rows, columns = (_below(old, new) for old, new in zip(pixels.shape, size))
        return pixels[rows][:, columns]
    if interpolation == "bilinear" and pixels.dtype == np.uint8:
        return _bilinear_fixed(pixels, size)
    kernel = {"bilinear": _linear, "bicubic": _cubic}[interpolation]
    wide = pixels.astype(np.float32)
    for axis in (0, 1):
        wide = _along(wide, axis, size[axis], kernel)
    if pixels.dtype == np.uint8:
        return np.clip(np.rint(wide), 0, 255).astype(np.uint8)
    return wide


def _below(old: int, new: int) -> Any:
    return np.minimum((np.arange(new) * (old / new)).astype(np.int64), old - 1)


def axis_weights(old: int, new: int) -> tuple[Any, Any]:
    """Returns the pixel before each new pixel's middle, which may be -1, and how far it is beyond."""
    place = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    before = np.floor(place).astype(np.int64)
    return before, (place - before).astype(np.float32)


def _along(pixels: Any, axis: int, new: int, kernel: Any) -> Any:
    before, beyond = axis_weights(pixels.shape[axis], new)
    weights = kernel(beyond)
    first, total = 1 - len(weights) // 2, 0
    shape = [1, 1, 1]
    shape[axis] = new
    for tap, weight in enumerate(weights):
        place = np.clip(before + first + tap, 0, pixels.shape[axis] - 1)
        total = total + pixels.take(place, axis) * weight.astype(np.float32).reshape(shape)
    return total


def _linear(beyond: Any) -> Any:
    return np.stack([1 - beyond, beyond])


def _cubic(beyond: Any) -> Any:
    """Keys' kernel: weights of the two pixels before and of the two behind."""
    a, rows = _CUBIC, []
    for distance in (beyond + 1, beyond, 1 - beyond, 2 - beyond):
        near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
        far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
        rows.append(np.where(distance <= 1, near, far))
    return np.stack(rows)


def _bilinear_fixed(pixels: Any, size: tuple[int, int]) -> Any:
    """`cv2.resize` of uint8: columns first, then rows, each in whole numbers.

    In place where it can be, and by `numpy.take`: it is the slowest step of a detector's input.
    """
    (rows, columns), (height, width, channels) = size, pixels.shape
    before, beyond = axis_weights(height, rows)
    above, below = np.clip(before, 0, height - 1), np.clip(before + 1, 0, height - 1)
    used, place = np.unique(np.concatenate([above, below]), return_inverse=True)
    flat = pixels.reshape(height, width * channels)
    wide = _columns_fixed(flat if len(used) == height else flat[used], columns, width)
    lower, upper = (w[:, None] for w in _fixed(beyond))
    total = _weighted(wide.take(place[:rows], 0), lower)
    total += _weighted(wide.take(place[rows:], 0), upper)
    total += 2
    total >>= 2
    return np.clip(total, 0, 255, out=total).astype(np.uint8).reshape(rows, columns, channels)


def _weighted(values: Any, weight: Any) -> Any:
    values *= weight
    values >>= 16
    return values


def _columns_fixed(pixels: Any, columns: int, width: int) -> Any:
    """Returns (rows, columns * channels) int32, the sums of 19 bits less four."""
    channels = pixels.shape[1] // width
    before, beyond = axis_weights(width, columns)
    beyond[(before < 0) | (before >= width - 1)] = 0  # at the ends one pixel has all the weight
    each = np.arange(channels)
    left, right = (
        (np.clip(before + n, 0, width - 1)[:, None] * channels + each).ravel() for n in (0, 1)
    )
    lower, upper = (np.repeat(w, channels) for w in _fixed(beyond))
    sums = np.multiply(pixels.take(left, 1), lower, dtype=np.int32)
    sums += np.multiply(pixels.take(right, 1), upper, dtype=np.int32)
    sums >>= 4
    return sums


def _fixed(beyond: Any) -> tuple[Any, Any]:
    one = np.float32(1)
    return (
        np.rint((one - beyond) * _BITS).astype(np.int32),
        np.rint(beyond * _BITS).astype(np.int32),
    )
