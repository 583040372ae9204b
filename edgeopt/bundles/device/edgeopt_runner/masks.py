"""Areas: masks of instances made of prototypes, and arrays of scores brought to a picture's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .picture import Placement

__all__ = ["instance_masks", "picture_mask", "run_lengths", "sample", "sampling"]


def instance_masks(prototypes: Any, coefficients: Any, boxes: Any, size: tuple[int, int]) -> Any:
    """Returns (N, height, width) bool, the masks of boxes in pixels of the input.

    As ultralytics' `process_mask`: coefficients times prototypes (YOLACT, 2019, arXiv:1904.02689),
    bilinear to the input's size, above 0, and inside the box.

    Args:
        prototypes: (P, h, w) float32.
        coefficients: (N, P) float32.
        boxes: (N, 4) float32, corners in pixels of the input.
        size: Height and width of the input.
    """
    masks = np.zeros((len(boxes), *size), bool)
    for number, (one, box) in enumerate(zip(coefficients, boxes)):
        masks[number] = input_mask(prototypes, one, box, size)
    return masks


def picture_mask(mask: Any, placement: Placement) -> Any:
    """Returns a mask in pixels of the picture: each takes the nearest one of the input."""
    rows, columns = (_nearest(placement, axis) for axis in (0, 1))
    return mask[rows][:, columns]


def input_mask(prototypes: Any, coefficients: Any, box: Any, size: tuple[int, int]) -> Any:
    """Returns one mask, (height, width) bool, in pixels of the input."""
    mask = np.zeros(size, bool)
    columns, rows = _between(box[0], box[2], size[1]), _between(box[1], box[3], size[0])
    if not len(columns) or not len(rows):
        return mask
    count, height, width = prototypes.shape
    values = (coefficients @ prototypes.reshape(count, -1)).reshape(height, width)
    places = [
        sampling((at + np.float32(0.5)) * (small / large) - 0.5, small)
        for at, small, large in ((rows, height, size[0]), (columns, width, size[1]))
    ]
    mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = sample(values, *places) > 0
    return mask


def _between(low: Any, high: Any, size: int) -> Any:
    """Returns the pixels from ``low`` to below ``high``."""
    places = np.arange(size, dtype=np.float32)
    return np.flatnonzero((places >= low) & (places < high))


def _nearest(placement: Placement, axis: int) -> Any:
    """Returns for each row, or column, of the picture the one of the input."""
    middle = np.arange(placement.picture[axis]) + 0.5
    place = np.floor(middle * placement.gain[axis] + placement.offset[axis]).astype(np.int64)
    return np.clip(place, 0, placement.input[axis] - 1)


def sampling(places: Any, size: int) -> tuple[Any, Any, Any]:
    """Returns for ``places`` along an axis the two cells around each, and the share of the second."""
    places = np.clip(places, 0, size - 1).astype(np.float32)
    before = np.floor(places).astype(np.int64)
    return before, np.minimum(before + 1, size - 1), places - before


def sample(values: Any, rows: tuple[Any, Any, Any], columns: tuple[Any, Any, Any]) -> Any:
    """Returns ``values``, (h, w), between cells: bilinear, as `torch.nn.functional.interpolate`."""
    above, below, down = rows
    left, right, across = columns
    wide = values[:, left] * (1 - across) + values[:, right] * across
    return wide[above] * (1 - down)[:, None] + wide[below] * down[:, None]


def run_lengths(mask: Any) -> list[int]:
    """Returns how many pixels are out, in, out … down the columns: COCO's uncompressed form."""
    flat = np.asarray(mask, bool).T.ravel()
    changes = np.flatnonzero(np.diff(flat)) + 1
    ends = np.concatenate([[0], changes, [flat.size]])
    lengths = [int(n) for n in np.diff(ends)]
    return [0, *lengths] if flat.size and flat[0] else lengths
