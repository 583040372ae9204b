"""Non-maximum suppression: of boxes that overlap, the one with the highest score stays."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CLASS_OFFSET", "overlap", "probabilistic_overlap", "suppress", "suppress_rotated"]

CLASS_OFFSET = np.float32(7680)
"""Boxes of each class are moved apart so far before they are compared: wider than any input."""
_BLOCK = 128
_EPS = np.float32(1e-7)


def suppress(boxes: Any, scores: Any, iou: float, most: int) -> Any:
    """Returns the indices of the boxes that stay, the highest score first.

    The same as `torchvision.ops.nms`: greedy, ties in the order of the boxes.

    Args:
        boxes: (N, 4) float32, left, top, right, bottom.
        scores: (N,) float32.
        iou: Intersection over union above which the lower score goes.
        most: How many at most.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    rest = np.arange(len(boxes))
    survivors: list[int] = []
    while len(rest) and len(survivors) < most:
        first, rest = rest[0], rest[1:]
        survivors.append(first)
        over = overlap(boxes[first], boxes[rest], areas[first], areas[rest])
        rest = rest[~(over.astype(np.float64) > iou)]  # two empty boxes have no ratio: they stay
    return order[np.array(survivors, np.int64)]


def overlap(box: Any, others: Any, area: Any, areas: Any) -> Any:
    """Returns intersection over union of ``box``, (4,), with ``others``, (N, 4)."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    size = np.maximum(high - low, np.float32(0))
    inside = size[:, 0] * size[:, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return inside / (area + areas - inside)


def suppress_rotated(boxes: Any, scores: Any, iou: float, most: int) -> Any:
    """Returns the indices of the rotated boxes that stay, the highest score first.

    A box goes where any box of a higher score overlaps it, be that one gone or not ("fast NMS", YOLACT,
    2019): the same as ultralytics does for rotated boxes.

    Args:
        boxes: (N, 5) float32, middle, width, height, radians.
        scores: (N,) float32.
        iou: Probabilistic overlap above which the lower score goes.
        most: How many at most.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    survivors: list[int] = []
    for start in range(0, len(boxes), _BLOCK):
        block = boxes[start : start + _BLOCK]
        over = probabilistic_overlap(boxes[: start + len(block)], block).astype(np.float64) > iou
        earlier = np.arange(start + len(block))[:, None] < np.arange(start, start + len(block))
        survivors += list(start + np.flatnonzero(~(over & earlier).any(0)))
        if len(survivors) >= most:
            break
    return order[np.array(survivors[:most], np.int64)]


def probabilistic_overlap(first: Any, second: Any) -> Any:
    """Returns (N, M): how alike rotated boxes are, each taken as a Gaussian; 1 where they are equal.

    One minus the Hellinger distance (Llerena and others, "Gaussian Bounding Boxes and Probabilistic
    Intersection-over-Union for Object Detection", 2021, arXiv:2106.06072).
    """
    x1, y1, a1, b1, c1 = (v[:, None] for v in _gaussian(first))
    x2, y2, a2, b2, c2 = (v[None, :] for v in _gaussian(second))
    a, b, c = a1 + a2, b1 + b2, c1 + c2
    both = a * b - c * c
    apart = (a * (y1 - y2) ** 2 + b * (x1 - x2) ** 2) / (both + _EPS) * np.float32(0.25)
    apart += (c * (x2 - x1) * (y1 - y2)) / (both + _EPS) * np.float32(0.5)
    each = np.maximum(a1 * b1 - c1 * c1, 0) * np.maximum(a2 * b2 - c2 * c2, 0)
    shape = np.log(both / (4 * np.sqrt(each) + _EPS) + _EPS) * np.float32(0.5)
    distance = np.clip(apart + shape, _EPS, np.float32(100))
    return 1 - np.sqrt(1 - np.exp(-distance) + _EPS)


def _gaussian(boxes: Any) -> tuple[Any, ...]:
    """Returns middles and covariances of boxes (N, 5): those of uniform areas."""
    x, y, width, height, angle = boxes.astype(np.float32).T
    a, b = width**2 / 12, height**2 / 12
    cos, sin = np.cos(angle), np.sin(angle)
    return x, y, a * cos**2 + b * sin**2, a * sin**2 + b * cos**2, (a - b) * cos * sin
