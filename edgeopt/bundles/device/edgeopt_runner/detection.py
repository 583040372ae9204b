"""Boxes of a detector's outputs, in pixels of the picture, with what belongs to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .activations import activate, as_classes
from .bundle import WRONG, Stop
from .masks import instance_masks
from .suppression import CLASS_OFFSET, suppress, suppress_rotated

if TYPE_CHECKING:
    from .picture import Placement

__all__ = ["Detections", "detect"]

_MOST_CANDIDATES = 30000
"""Boxes that are compared at most, those of the highest scores; as ultralytics does."""


class Detections:
    """What a detector found in one picture, the highest score first.

    Attributes:
        boxes: (N, 4) float32: left, top, right, bottom; of rotated boxes middle, width, height.
        scores: (N,) float32.
        classes: (N,) int64.
        angles: (N,) float32 radians, or None.
        keypoints: (N, K, 2 or 3) float32, or None.
        masks: (N, H, W) bool in pixels of the input, or None; `masks.picture_mask` makes them the
            picture's.
    """

    def __init__(self, boxes: Any, scores: Any, classes: Any, **more: Any) -> None:
        self.boxes = boxes
        self.scores = scores
        self.classes = classes
        self.angles = more.get("angles")
        self.keypoints = more.get("keypoints")
        self.masks = more.get("masks")

    def __len__(self) -> int:
        return len(self.scores)

    def only(self, index: Any) -> Detections:
        """Returns those that ``index`` chooses."""
        parts = {name: None if v is None else v[index] for name, v in vars(self).items()}
        return Detections(**parts)


def detect(outputs: dict[str, Any], spec: dict[str, Any], placement: Placement) -> Detections:
    """Returns what a detector found.

    Args:
        outputs: Name of an output to the array, the batch being 1.
        spec: The manifest's ``postprocess``.
        placement: Where the picture lies in the input.
    """
    scores, classes = _scores(outputs, spec)
    chosen = np.flatnonzero(scores > spec["confidence"])
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:_MOST_CANDIDATES]
    angles = _columns(outputs, spec["angles"])[chosen, 0] if spec["angles"] else None
    boxes = _boxes(_columns(outputs, spec["boxes"])[chosen], spec, placement)
    scores, classes = scores[chosen], as_classes(classes[chosen])
    stays = _staying(boxes, scores, classes, angles, spec)
    chosen, boxes, scores, classes = (a[stays] for a in (chosen, boxes, scores, classes))
    masks = None
    if spec["masks"]:
        coefficients = _columns(outputs, spec["masks"])[chosen]
        masks = instance_masks(outputs[spec["prototypes"]][0], coefficients, boxes, placement.input)
    return _in_picture(
        Detections(
            boxes,
            scores,
            classes,
            angles=None if angles is None else angles[stays],
            keypoints=_keypoints(outputs, spec, placement, chosen),
            masks=masks,
        ),
        placement,
    )


def _columns(outputs: dict[str, Any], part: dict[str, Any]) -> Any:
    """Returns (boxes, channels) float32 of an output."""
    array = outputs[part["output"]]
    flat = array.ndim == 1 or array.shape[:-1] == (1,)
    if part["count"] == 1 and not part["start"] and flat:
        return array.reshape(-1, 1).astype(np.float32)
    rows = np.moveaxis(array, part["axis"], -1).reshape(-1, array.shape[part["axis"]])
    return rows[:, part["start"] : part["start"] + part["count"]].astype(np.float32)


def _scores(outputs: dict[str, Any], spec: dict[str, Any]) -> tuple[Any, Any]:
    """Returns for each box the score of its best class, and the class."""
    scores = activate(_columns(outputs, spec["scores"]), spec["activation"])
    if np.isnan(scores).any():
        raise Stop(WRONG, "scores are NaN: they tell no box", "look at the input's values")
    if spec["classes"]:
        return scores[:, 0], _columns(outputs, spec["classes"])[:, 0]
    first, last = spec["background"] == "first", spec["background"] == "last"
    scores = scores[:, int(first) : scores.shape[1] - int(last)]
    if not scores.shape[1]:
        return np.zeros(len(scores), np.float32), np.zeros(len(scores), np.int64)
    classes = scores.argmax(1)
    return scores[np.arange(len(scores)), classes], classes


def _boxes(boxes: Any, spec: dict[str, Any], placement: Placement) -> Any:
    """Returns corners in pixels of the input; of rotated boxes middles and sizes."""
    if spec["box_format"] == "yxyx":
        boxes = boxes[:, [1, 0, 3, 2]]
    if spec["units"] == "normalized":
        height, width = placement.input
        boxes = boxes * np.array([width, height, width, height], np.float32)
    if spec["angles"] or spec["box_format"] in {"xyxy", "yxyx"}:
        return boxes
    place, size = boxes[:, :2], boxes[:, 2:]
    if spec["box_format"] == "xywh":
        return np.concatenate([place, place + size], 1)
    return np.concatenate([place - size / 2, place + size / 2], 1)


def _staying(boxes: Any, scores: Any, classes: Any, angles: Any, spec: dict[str, Any]) -> Any:
    """Returns the indices of boxes that are told, the highest score first where it is sorted here."""
    if not spec["nms"]:
        return np.arange(len(boxes))[: spec["max_detections"]]
    apart = classes.astype(np.float32)[:, None] * CLASS_OFFSET * (not spec["agnostic"])
    most, iou = spec["max_detections"], spec["iou"]
    if angles is None:
        return suppress(boxes + apart, scores, iou, most)
    rotated = np.concatenate([boxes[:, :2] + apart, boxes[:, 2:], angles[:, None]], 1)
    return suppress_rotated(rotated, scores, iou, most)


def _keypoints(
    outputs: dict[str, Any], spec: dict[str, Any], placement: Placement, chosen: Any
) -> Any:
    if not spec["keypoints"]:
        return None
    flat = _columns(outputs, spec["keypoints"])[chosen]
    size = spec["keypoint_size"]
    points = flat.reshape(len(flat), flat.shape[1] // size, size).copy()
    if spec["units"] == "normalized":
        points[..., :2] *= np.array(placement.input[::-1], np.float32)
    points[..., :2] = _unplaced(points[..., :2], placement)
    return points


def _in_picture(found: Detections, placement: Placement) -> Detections:
    """Returns the same with boxes in pixels of the picture, cut at its ends unless rotated."""
    if found.angles is None:
        corners = _unplaced(found.boxes.reshape(-1, 2), placement)
        found.boxes = corners.reshape(-1, 4)
    else:
        middle = _unplaced(found.boxes[:, :2], placement, cut=False)
        size = found.boxes[:, 2:] / _gain(placement)
        found.boxes = np.concatenate([middle, size], 1)
    if found.masks is None:
        return found
    return found.only(
        found.masks.any((1, 2))
    )  # without a pixel it is no object, as ultralytics has it


def _unplaced(points: Any, placement: Placement, *, cut: bool = True) -> Any:
    """Returns points (…, 2), x and y in pixels of the input, in pixels of the picture."""
    offset = np.array(placement.offset[::-1], np.float32)
    points = (points - offset) / _gain(placement)
    height, width = placement.picture
    return np.clip(points, 0, np.array([width, height], np.float32)) if cut else points


def _gain(placement: Placement) -> Any:
    return np.array(placement.gain[::-1], np.float32)
