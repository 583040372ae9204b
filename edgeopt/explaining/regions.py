"""Which parts of an input an attribution is of: patches of a picture, tokens, positions, features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Signature

__all__ = ["Regions", "regions_of"]

InputKind = Literal["picture", "tokens", "positions", "features"]

_ACROSS = 14
"""Patches along a picture's side."""
_MOST = 256
_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, eq=False)
class Regions:
    """The parts of one input.

    Attributes:
        place: Which of the model's inputs it is.
        kind: What the parts are.
        mask: Number of the region of each element, int64, of the input's shape.
        grid: How the regions lie: (rows, columns) of a picture, else (regions,).
        layout: Where a picture's channels are.
    """

    place: int
    kind: InputKind
    mask: np.ndarray
    grid: tuple[int, ...]
    layout: Literal["", "NCHW", "NHWC"] = ""

    @property
    def count(self) -> int:
        """How many regions there are."""
        return math.prod(self.grid)

    def baseline(self, array: np.ndarray, token: int = 0) -> np.ndarray:
        """Returns what takes the place of a region that is left out, of the input's shape.

        Real numbers: the input's own mean, of each channel; tokens: ``token``.

        Args:
            array: The input.
            token: The token that says nothing.
        """
        if self.kind == "tokens":
            return np.full_like(array, token)
        axes: tuple[int, ...] = (2,) if self.kind == "positions" else tuple(range(array.ndim))
        if self.layout:
            axes = (2, 3) if self.layout == "NCHW" else (1, 2)
        return np.broadcast_to(array.mean(axis=axes, keepdims=True), array.shape).astype(
            array.dtype
        )


def regions_of(signature: Signature, sample: Sequence[np.ndarray] = ()) -> Regions:
    """Returns the parts of the input that a model's answer is traced back to.

    It is the first one of real numbers, or where there is none the first of integers.

    Args:
        signature: Of the model.
        sample: One sample; a mask among its inputs tells which tokens are there.

    Raises:
        InputError: The model has no input with parts.
    """
    specs = signature.inputs
    floats = [
        i for i, s in enumerate(specs) if s.dtype.startswith("float") and math.prod(s.shape) > 1
    ]
    integers = [i for i, s in enumerate(specs) if s.dtype.startswith(("int", "uint"))]
    usable = [i for i in (*floats, *integers) if math.prod(specs[i].shape) > 1]
    if not usable:
        raise InputError("no input has parts that could be left out", where="attributions")
    place = usable[0]
    shape, dtype = tuple(specs[place].shape), specs[place].dtype
    layout = _picture_layout(shape, dtype)
    if layout:
        return _patches(place, shape, layout)
    if not dtype.startswith("float"):
        count = _tokens(shape, sample)
        return _along(place, "tokens", shape, len(shape) - 1, count)
    if len(shape) == 3:  # noqa: PLR2004 (batch, channels, positions)
        return _along(place, "positions", shape, 2, shape[2])
    count = math.prod(shape)
    mask = np.arange(count).reshape(shape) * min(count, _MOST) // count
    return Regions(place, "features", mask, (min(count, _MOST),))


def _picture_layout(shape: tuple[int, ...], dtype: str) -> Literal["", "NCHW", "NHWC"]:
    if len(shape) != 4 or not dtype.startswith(("float", "uint")):  # noqa: PLR2004
        return ""
    if shape[1] in _CHANNELS:
        return "NCHW"
    return "NHWC" if shape[3] in _CHANNELS else ""


def _patches(place: int, shape: tuple[int, ...], layout: Literal["NCHW", "NHWC"]) -> Regions:
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    rows, columns = min(_ACROSS, height), min(_ACROSS, width)
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    patch = row[:, None] * columns + column[None, :]
    channels_last = patch if layout == "NCHW" else patch[:, :, None]
    mask = np.broadcast_to(channels_last, shape).copy()
    return Regions(place, "picture", mask, (rows, columns), layout)


def _along(place: int, kind: InputKind, shape: tuple[int, ...], axis: int, count: int) -> Regions:
    """Regions along one axis; what lies beyond ``count`` belongs to the last one."""
    regions = min(count, _MOST)
    number = np.minimum(np.arange(shape[axis]), count - 1) * regions // count
    view = [1] * len(shape)
    view[axis] = -1
    mask = np.broadcast_to(number.reshape(view), shape).copy()
    return Regions(place, kind, mask, (regions,))


def _tokens(shape: tuple[int, ...], sample: Sequence[np.ndarray]) -> int:
    """Returns how many tokens there are, by a mask of the same shape that ends with zeros."""
    length = shape[-1]
    for array in sample[1:]:
        flat = array.ravel()
        is_mask = array.shape == shape and set(np.unique(flat)) <= {0, 1} and flat[0] == 1
        if is_mask:
            return max(2, int(flat.sum()))
    return length
