"""What outputs mean, as the bundle's ``postprocess`` says: classes, boxes, areas or vectors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .activations import activate
from .bundle import WRONG, Stop
from .detection import Detections, detect
from .picture import Placement
from .segmentation import segment

__all__ = ["Answer", "answer", "whole_input"]


class Answer(NamedTuple):
    """What one run says.

    Attributes:
        kind: ``classification``, ``detection``, ``segmentation`` or ``embedding``.
        value: Of a classification a list of (class, probability) for each row; of a detection
            `Detections`; of a segmentation the classes of the picture's pixels, (height, width) int32;
            of an embedding the vectors, (rows, size) float32.
        labels: Names of the classes, or none.
        placement: Where the picture lies in the input.
    """

    kind: str
    value: Any
    labels: list[str]
    placement: Placement


def answer(
    outputs: list[Any],
    manifest: dict[str, Any],
    labels: list[str],
    *,
    placement: Placement | None = None,
    mask: Any = None,
    top: int | None = None,
) -> Answer:
    """Returns what the outputs of one run mean.

    Args:
        outputs: In the signature's order.
        manifest: The bundle's manifest.
        labels: Names of the classes, or none.
        placement: Where the picture lies in the input; the whole input where it is not said.
        mask: (1, tokens), 1 where a token is; for an embedding's pooling.
        top: How many classes of a classification; as the manifest says where None.
    """
    spec = manifest["postprocess"]
    names = [one["name"] for one in manifest["signature"]["outputs"]]
    arrays = dict(zip(names, outputs))
    placement = placement or whole_input(manifest)
    kind = spec["kind"]
    value: Any
    with np.errstate(all="ignore"):  # of a network's infinite numbers: what comes of them is told
        if kind == "detection":
            value = detect(arrays, spec, placement)
        elif kind == "segmentation":
            value = segment(arrays, spec, placement)
        elif kind == "embedding":
            value = _vectors(arrays[spec["output"]], spec, mask)
        else:
            value = _classes(arrays[spec["output"]], spec, top)
    _check_labels(kind, value, labels)
    return Answer(kind, value, labels, placement)


def _classes(scores: Any, spec: dict[str, Any], top: int | None) -> list[list[tuple[int, float]]]:
    """Returns for each row the classes of the highest probabilities."""
    rows = activate(np.asarray(scores).reshape(-1, scores.shape[-1] if scores.ndim else 1), "none")
    if np.isnan(rows).any():
        raise Stop(WRONG, "scores are NaN: they name no class", "look at the input's values")
    result = []
    for row in activate(rows, spec["activation"]):
        best = np.argsort(-row.astype(np.float64), kind="stable")[: top or spec["top"]]
        result.append([(int(n), float(row[n])) for n in best if row[n] >= spec["threshold"]])
    return result


def _vectors(values: Any, spec: dict[str, Any], mask: Any) -> Any:
    """Returns (rows, size) float32, pooled over the tokens and of length 1 where asked."""
    values = np.asarray(values, np.float32)
    if spec["pooling"] == "first":
        values = values.take(0, spec["axis"])
    elif spec["pooling"] == "mean":
        values = _mean(values, spec["axis"] % values.ndim, mask)
    rows = values.reshape(-1, values.shape[-1])
    if not spec["normalize"]:
        return rows
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))


def _mean(values: Any, axis: int, mask: Any) -> Any:
    if mask is None or mask.size != values.shape[axis]:
        return values.mean(axis)
    shape = [1] * values.ndim
    shape[axis] = values.shape[axis]
    weight = mask.reshape(shape).astype(np.float32)
    return (values * weight).sum(axis) / np.maximum(weight.sum(axis), np.float32(1e-9))


def _check_labels(kind: str, value: Any, labels: list[str]) -> None:
    """Refuses labels that have no name for a class that was told."""
    if not labels or kind == "embedding":
        return
    if kind == "classification":
        highest = max((n for row in value for n, _ in row), default=-1)
    else:
        classes = value.classes if isinstance(value, Detections) else value
        highest = int(classes.max()) if classes.size else -1
    if kind == "segmentation" and value.max(initial=0) == 1 and len(labels) == 1:
        return  # of one class: 1 is it, 0 is none
    if highest >= len(labels):
        wrong = f"{len(labels)} labels, but class {highest} was told"
        raise Stop(WRONG, wrong, "the labels are of another model")


def whole_input(manifest: dict[str, Any]) -> Placement:
    """Returns the placement of a picture that is the input itself."""
    before = manifest.get("preprocess") or {}
    size = (1, 1)
    for spec in manifest["signature"]["inputs"]:
        shape = spec["shape"]
        if len(shape) == len("NCHW") and before.get("input", spec["name"]) == spec["name"]:
            first = before.get("layout") == "NCHW" if before else shape[1] in (1, 3)
            first = first and not before.get("inside")
            size = (shape[2], shape[3]) if first else (shape[1], shape[2])
            break
    return Placement(size, size, (1.0, 1.0), (0, 0))
