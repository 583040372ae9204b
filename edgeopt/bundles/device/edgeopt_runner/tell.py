"""Answers as lines for people, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .bundle import shown
from .masks import picture_mask, run_lengths
from .segmentation import UNSEEN

if TYPE_CHECKING:
    from .answers import Answer
    from .detection import Detections

__all__ = ["label_of", "lines", "plain"]

_FIRST_VALUES = 6


def lines(answer: Answer) -> list[str]:
    """Returns what a person is told."""
    tell = {
        "classification": _class_lines,
        "detection": _object_lines,
        "segmentation": _area_lines,
        "embedding": _vector_lines,
    }
    return tell[answer.kind](answer)


def plain(answer: Answer) -> dict[str, Any]:
    """Returns the same for JSON.

    Boxes are in pixels of the picture. Masks are run lengths down the columns, as COCO's uncompressed
    form has them.
    """
    if answer.kind == "classification":
        rows = [[_named(answer, n, probability=p) for n, p in row] for row in answer.value]
        return {"kind": answer.kind, "rows": rows}
    if answer.kind == "embedding":
        return {"kind": answer.kind, "rows": answer.value.astype(float).tolist()}
    height, width = answer.placement.picture
    head = {"kind": answer.kind, "width": width, "height": height}
    if answer.kind == "segmentation":
        areas = [_named(answer, n, share=share) for n, share in _shares(answer.value)]
        return {**head, "areas": areas}
    return {**head, "objects": [_object(answer, n) for n in range(len(answer.value))]}


def label_of(answer: Answer, number: int) -> str:
    """Returns the name of a class, or its number."""
    names = answer.labels
    if answer.kind == "segmentation" and len(names) == 1:
        names = ["", *names]  # of one class: 1 is it
    return names[number] if 0 <= number < len(names) and names[number] else str(number)


def _named(answer: Answer, number: int, **more: Any) -> dict[str, Any]:
    label = {"label": label_of(answer, number)} if answer.labels else {}
    return {"class": int(number), **label, **more}


def _class_lines(answer: Answer) -> list[str]:
    result = []
    for number, row in enumerate(answer.value):
        result += [f"row {number}"] if len(answer.value) > 1 else []
        result += [
            f"{rank:3d}  {probability:12.6g}  {index}{_suffix(answer, index)}"
            for rank, (index, probability) in enumerate(row, 1)
        ]
    return result


def _suffix(answer: Answer, number: int) -> str:
    return f"  {shown(label_of(answer, number))}" if answer.labels else ""


def _object_lines(answer: Answer) -> list[str]:
    detections: Detections = answer.value
    if not len(detections):
        return ["nothing found"]
    result = []
    for number in range(len(detections)):
        place = " ".join(f"{value:.1f}" for value in detections.boxes[number])
        if detections.angles is not None:
            place += f" {np.degrees(detections.angles[number]):.1f} degrees"
        label = _suffix(answer, detections.classes[number])
        result.append(
            f"{number + 1:3d}  {detections.scores[number]:8.6f}  {detections.classes[number]}{label}  {place}"
        )
        if detections.keypoints is not None:
            points = (":".join(f"{v:.4g}" for v in point) for point in detections.keypoints[number])
            result.append("     " + " ".join(points))
    return result


def _object(answer: Answer, number: int) -> dict[str, Any]:
    detections: Detections = answer.value
    values = [float(value) for value in detections.boxes[number]]
    result = _named(answer, detections.classes[number], score=float(detections.scores[number]))
    if detections.angles is None:
        result["box"] = values
    else:
        result |= {
            "middle": values[:2],
            "size": values[2:],
            "angle": float(detections.angles[number]),
        }
    if detections.keypoints is not None:
        result["keypoints"] = detections.keypoints[number].astype(float).tolist()
    if detections.masks is not None:
        mask = picture_mask(detections.masks[number], answer.placement)
        result["mask"] = {"size": list(mask.shape), "counts": run_lengths(mask)}
    return result


def _shares(classes: Any) -> list[tuple[int, float]]:
    """Returns the classes there are, and the share of the seen pixels that each has."""
    seen = classes[classes != UNSEEN]
    numbers, counts = np.unique(seen, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [(int(numbers[n]), float(counts[n] / seen.size)) for n in order]


def _area_lines(answer: Answer) -> list[str]:
    return [
        f"{share:8.2%}  {number}{_suffix(answer, number)}"
        for number, share in _shares(answer.value)
    ]


def _vector_lines(answer: Answer) -> list[str]:
    result = []
    for row in answer.value:
        values = " ".join(f"{value:.4f}" for value in row[:_FIRST_VALUES])
        more = " …" if len(row) > _FIRST_VALUES else ""
        result.append(f"{len(row)} numbers, length {np.linalg.norm(row):.4f}: {values}{more}")
    return result
