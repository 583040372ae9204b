"""How near outputs are to the float model's, by the measure of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from _common import likeness

from edgeopt.bundles.device.edgeopt_runner.suppression import overlap, suppress

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MEASURES", "judged"]

CONFIDENCE, LEAST = 0.25, 0.001
"""The float model's boxes above the first are what is to be found; the peers' are taken from the second on."""
IOU, SUPPRESSION, MOST = 0.5, 0.7, 300

Measure = "Callable[[np.ndarray, np.ndarray, np.ndarray | None], dict[str, float]]"


def judged(case: Path, measure: str, outputs: np.ndarray) -> dict[str, float]:
    """Returns figures of ``outputs``, for the checks of ``case``: dB, and those of the task."""
    reference = np.load(case / "reference.npy")
    labels = np.load(case / "labels.npy") if (case / "labels.npy").exists() else None
    if outputs.shape != reference.shape:
        raise ValueError(f"outputs of {outputs.shape}, of the float model {reference.shape}")
    flat = [values.reshape(len(values), -1) for values in (reference, outputs)]
    return {
        "snr_db": likeness(*flat)["snr_db"],
        **MEASURES[measure](reference, outputs, labels),
    }


def _classes(
    reference: np.ndarray, outputs: np.ndarray, labels: np.ndarray | None
) -> dict[str, float]:
    """Returns shares: of inputs with the float model's class, and of right ones where that is known."""
    chosen, expected = outputs.argmax(1), reference.argmax(1)
    figures = {"agreement": float((chosen == expected).mean())}
    if labels is not None:
        figures |= {"task": float((chosen == labels).mean())}
        figures |= {"task_float": float((expected == labels).mean())}
    return figures


def _neighbours(
    reference: np.ndarray, outputs: np.ndarray, _: np.ndarray | None
) -> dict[str, float]:
    """Returns recall@1: of words, the first half, that are nearest to their own meaning, in the second."""
    return {"task": _recall(outputs), "task_float": _recall(reference)}


def _recall(vectors: np.ndarray) -> float:
    words, meanings = np.split(vectors, 2)
    return float(((words @ meanings.T).argmax(1) == np.arange(len(words))).mean())


def _boxes(reference: np.ndarray, outputs: np.ndarray, _: np.ndarray | None) -> dict[str, float]:
    """Returns the average precision at IoU 0.5, whatever the class, the float model's boxes being the truth."""
    return {"task": _average_precision(reference, outputs), "task_float": 1.0}


def _average_precision(reference: np.ndarray, outputs: np.ndarray) -> float:
    scores, hits, wanted = [], [], 0
    for expected, given in zip(reference, outputs, strict=True):
        truth, _ = _detections(expected, CONFIDENCE)
        boxes, score = _detections(given, LEAST)
        wanted += len(truth)
        scores.append(score)
        hits.append(_matched(boxes, truth))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hit = np.concatenate(hits)[order]
    recall, precision = np.cumsum(hit) / wanted, np.cumsum(hit) / np.arange(1, len(hit) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())


def _detections(raw: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns boxes (N, 4) and scores (N,) of ultralytics' raw output (4 + classes, candidates)."""
    score, chosen = raw[4:].max(0), raw[4:].argmax(0)
    picked = score > least
    middle, size = raw[:2, picked].T, raw[2:4, picked].T
    boxes = np.concatenate([middle - size / 2, middle + size / 2], 1).astype(np.float32)
    apart = boxes + (chosen[picked] * np.float32(7680))[:, None]
    stay = suppress(apart, score[picked], SUPPRESSION, MOST)
    return apart[stay], score[picked][stay]


def _matched(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Returns which boxes, the best first, find one of ``truth`` that none before found."""
    left, hits = np.ones(len(truth), bool), np.zeros(len(boxes), bool)
    areas = (truth[:, 2] - truth[:, 0]) * (truth[:, 3] - truth[:, 1])
    for i, box in enumerate(boxes):
        if not left.any():
            break
        area = (box[2] - box[0]) * (box[3] - box[1])
        over = np.where(left, overlap(box, truth, area, areas), 0.0)
        if over.max() >= IOU:
            left[over.argmax()], hits[i] = False, True
    return hits


MEASURES = {"classes": _classes, "neighbours": _neighbours, "boxes": _boxes}
"""Name to what gives the figures of a task: ``task`` (0 to 1), and ``task_float``, that of the float model."""
