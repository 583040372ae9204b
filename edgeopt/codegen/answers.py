"""What the outputs mean, as words of the templates: the same for C and Kotlin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import c_float
from edgeopt.options import Classification, Detection, Embedding, Segmentation

if TYPE_CHECKING:
    from edgeopt.codegen.facts import Facts
    from edgeopt.options import Columns

__all__ = ["answer_kind", "answer_words"]


def answer_kind(facts: Facts) -> str:
    """Returns which template tells the answer; ``none`` where the outputs are printed as numbers."""
    postprocess = facts.postprocess
    if isinstance(postprocess, Detection):
        return "none" if postprocess.masks or postprocess.angles else "detection"
    kinds: dict[type[Any], str] = {
        Classification: "classification",
        Segmentation: "segmentation",
        Embedding: "embedding",
    }
    return kinds.get(type(postprocess), "none")


def answer_words(facts: Facts) -> dict[str, Any]:
    """Returns the words of the templates that tell the answer."""
    postprocess = facts.postprocess
    words: dict[str, Any] = {"softmax": 0, "sigmoid": 0}
    if isinstance(postprocess, (Classification, Detection, Segmentation)):
        binary = not isinstance(postprocess, Segmentation) or postprocess.values == "binary"
        words["softmax"] = int(postprocess.activation == "softmax")
        words["sigmoid"] = int(postprocess.activation == "sigmoid" and binary)
    makers: dict[str, Any] = {
        "classification": _classification,
        "detection": _detection,
        "segmentation": _segmentation,
        "embedding": _embedding,
    }
    maker = makers.get(answer_kind(facts))
    return words if maker is None else {**words, **maker(facts, postprocess)}


def _classification(facts: Facts, given: Classification) -> dict[str, Any]:
    output = facts.output_index(given.output)
    shape = facts.signature.outputs[output].shape
    classes = shape[-1] if shape else 1
    return {
        "output": output,
        "rows": math.prod(shape) // classes,
        "classes": classes,
        "top": min(given.top, classes),
        "threshold": c_float(given.threshold),
    }


def _detection(facts: Facts, given: Detection) -> dict[str, Any]:
    scores = given.scores.count
    first = int(given.background == "first")
    return {
        "boxes": _box_count(facts, given.boxes),
        "most": given.max_detections,
        "nms": int(given.nms),
        "agnostic": int(given.agnostic),
        "classes": scores,
        "first_class": first,
        "end_class": scores - int(given.background == "last"),
        "has_numbers": int(given.classes is not None),
        "from_middle": int(given.box_format == "cxcywh"),
        "from_corner": int(given.box_format == "xywh"),
        "row_first": int(given.box_format == "yxyx"),
        "normalized": int(given.units == "normalized"),
        "confidence": c_float(given.confidence),
        "iou": given.iou,
        "box_columns": _columns(facts, given.boxes),
        "score_columns": _columns(facts, given.scores),
        "number_columns": _columns(facts, given.classes or given.scores),
    }


def _columns(facts: Facts, given: Columns) -> str:
    """Returns output, first channel, channels, and cells behind an axis of channels."""
    output = facts.output_index(given.output)
    shape = facts.signature.outputs[output].shape
    if _is_flat(given, shape):
        return f"{output}, 0, 1, 1"
    axis = given.axis % len(shape)
    return f"{output}, {given.start}, {shape[axis]}, {math.prod(shape[axis + 1 :])}"


def _box_count(facts: Facts, given: Columns) -> int:
    shape = facts.signature.outputs[facts.output_index(given.output)].shape
    whole = math.prod(shape)
    return whole if _is_flat(given, shape) else whole // shape[given.axis]


def _is_flat(given: Columns, shape: tuple[int, ...]) -> bool:
    """Returns whether an output has no axis of channels, as `edgeopt_runner.detection` tells it."""
    one = given.count == 1 and not given.start
    return one and (len(shape) == 1 or tuple(shape[:-1]) == (1,))


def _segmentation(facts: Facts, given: Segmentation) -> dict[str, Any]:
    output = facts.output_index(given.output)
    shape = facts.signature.outputs[output].shape
    axes = list(range(len(shape)))
    step = [math.prod(shape[axis + 1 :]) for axis in axes]
    classes = class_step = 0
    if given.values == "scores":
        axis = axes.pop(given.axis)
        classes, class_step = shape[axis], step[axis]
    rows, columns = axes[-2:]
    return {
        "output": output,
        "classes": classes or 1,
        "rows": shape[rows],
        "columns": shape[columns],
        "class_step": class_step,
        "row_step": step[rows],
        "column_step": step[columns],
        "numbers": int(given.values == "classes"),
        "binary": int(given.values == "binary"),
        "nearest": int(given.upsample == "nearest"),
        "threshold": c_float(given.threshold),
    }


def _embedding(facts: Facts, given: Embedding) -> dict[str, Any]:
    output = facts.output_index(given.output)
    shape = facts.signature.outputs[output].shape
    outer, tokens, inner, rest = 1, 1, math.prod(shape), shape
    if given.pooling != "none":
        axis = given.axis % len(shape)
        outer, tokens, inner = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
        rest = (*shape[:axis], *shape[axis + 1 :])
    return {
        "output": output,
        "outer": outer,
        "tokens": tokens,
        "inner": inner,
        "size": rest[-1] if rest else 1,
        "mean": int(given.pooling == "mean"),
        "unit": int(given.normalize),
    }
