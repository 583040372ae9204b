"""A class for each pixel of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .activations import activate, as_classes
from .bundle import WRONG, Stop
from .masks import sample, sampling

if TYPE_CHECKING:
    from .picture import Placement

__all__ = ["UNSEEN", "segment"]

UNSEEN = -1
"""Class of a pixel that the model did not see: it was cut off."""


def segment(outputs: dict[str, Any], spec: dict[str, Any], placement: Placement) -> Any:
    """Returns the classes of the picture's pixels, (height, width) int32.

    Args:
        outputs: Name of an output to the array, the batch being 1.
        spec: The manifest's ``postprocess``.
        placement: Where the picture lies in the input.
    """
    array = outputs[spec["output"]]
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise Stop(WRONG, "scores are NaN: they name no class", "look at the input's values")
    if spec["values"] == "scores":
        array = np.moveaxis(array, spec["axis"], 0)
        scores = array.reshape(len(array), *array.shape[-2:])
    else:
        scores = array.reshape(1, *array.shape[-2:])
    rows, columns = (_places(placement, axis, scores.shape[axis + 1]) for axis in (0, 1))
    if spec["values"] == "classes" or spec["upsample"] == "nearest":
        classes = _nearest(_decided(scores, spec), rows, columns)
    else:
        classes = _between(scores, spec, rows, columns)
    return _only_seen(classes, placement)


def _places(placement: Placement, axis: int, cells: int) -> Any:
    """Returns where the middles of the picture's rows, or columns, lie among ``cells``."""
    middle = np.arange(placement.picture[axis]) + 0.5
    place = middle * placement.gain[axis] + placement.offset[axis]
    return place * (cells / placement.input[axis]) - 0.5


def _decided(scores: Any, spec: dict[str, Any]) -> Any:
    """Returns the class of each cell, (h, w)."""
    if spec["values"] == "scores":
        return scores.argmax(0).astype(np.int32)
    if spec["values"] == "binary":
        return (activate(scores[0], spec["activation"]) > spec["threshold"]).astype(np.int32)
    return as_classes(scores[0]).astype(np.int32)


def _nearest(classes: Any, rows: Any, columns: Any) -> Any:
    places = [
        np.clip(np.floor(at + 0.5), 0, size - 1).astype(np.int64)
        for at, size in zip((rows, columns), classes.shape)
    ]
    return classes[places[0]][:, places[1]]


def _between(scores: Any, spec: dict[str, Any], rows: Any, columns: Any) -> Any:
    """Returns the class of the highest score between cells; one class after the other, for memory."""
    around = [sampling(at, size) for at, size in zip((rows, columns), scores.shape[1:])]
    best = sample(scores[0].astype(np.float32), *around)
    if spec["values"] == "binary":
        return (activate(best, spec["activation"]) > spec["threshold"]).astype(np.int32)
    classes = np.zeros(best.shape, np.int32)
    for number in range(1, len(scores)):
        values = sample(scores[number].astype(np.float32), *around)
        higher = values > best
        classes[higher] = number
        best = np.where(higher, values, best)
    return classes


def _only_seen(classes: Any, placement: Placement) -> Any:
    for axis in (0, 1):
        middle = (np.arange(placement.picture[axis]) + 0.5) * placement.gain[axis]
        place = middle + placement.offset[axis]
        outside = (place < 0) | (place > placement.input[axis])
        classes[outside if axis == 0 else (slice(None), outside)] = UNSEEN
    return classes
