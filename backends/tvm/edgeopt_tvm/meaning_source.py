"""What lies before and after the network, as C source: ``struct before`` and ``struct after``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeopt.options import Classification, Detection, Embedding, Preprocess, Segmentation
from edgeopt_tvm.c_text import c_text

if TYPE_CHECKING:
    from edgeopt.contracts import BundledPrograms
    from edgeopt.options import Columns, Postprocess

__all__ = ["NO_MEANING", "NO_PICTURE", "after_source", "before_source"]

NO_PICTURE = "{NULL, NULL, 114, -1}"
NO_MEANING = "{.meaning = NOTHING}"
_ACTIVATIONS = {"none": "PLAIN", "sigmoid": "SIGMOID", "softmax": "SOFTMAX"}
_BACKGROUNDS = {"none": "NO_BACKGROUND", "first": "FIRST", "last": "LAST"}
_VALUES = {"scores": "SCORES", "classes": "NUMBERS", "binary": "BINARY"}
_POOLINGS = {"none": "NO_POOLING", "mean": "MEAN", "first": "FIRST_TOKEN"}


def before_source(bundled: BundledPrograms) -> str:
    """Returns how a picture becomes an input, as far as the runner does that."""
    preprocess = bundled.preprocess
    if not isinstance(preprocess, Preprocess):
        return NO_PICTURE
    first = int(preprocess.layout == "NCHW" and not preprocess.inside)
    if not _is_done(preprocess):
        return f"{{{c_text(preprocess.input)}, NULL, 114, {first}}}"
    fill = int(np.rint(preprocess.fill[0]))
    return f"{{{c_text(preprocess.input)}, {c_text(preprocess.fit)}, {fill}, {first}}}"


def _is_done(given: Preprocess) -> bool:
    """Returns whether the runner brings a picture to its size just as run.py does."""
    plain = given.inside and not given.antialias and given.interpolation == "bilinear"
    centered = given.fit == "stretch" or (given.align == "center" and given.enlarge)
    return plain and centered and len(given.resize) > 1 and not given.crop and len(given.fill) == 1


def after_source(given: Postprocess | None) -> str:
    """Returns what the outputs mean."""
    if isinstance(given, Detection):
        fields = _detection(given)
    elif isinstance(given, Classification):
        fields = {
            "meaning": "CLASSES",
            "output": c_text(given.output),
            "activation": _ACTIVATIONS[given.activation],
            "top": given.top,
            "threshold": given.threshold,
        }
    elif isinstance(given, Segmentation):
        fields = {
            "meaning": "AREAS",
            "output": c_text(given.output),
            "activation": _ACTIVATIONS[given.activation],
            "axis": given.axis,
            "threshold": given.threshold,
            "values": _VALUES[given.values],
            "nearest": int(given.upsample == "nearest"),
        }
    elif isinstance(given, Embedding):
        fields = {
            "meaning": "VECTORS",
            "output": c_text(given.output),
            "axis": given.axis,
            "pooling": _POOLINGS[given.pooling],
            "unit": int(given.normalize),
        }
    else:
        return NO_MEANING
    return f"{{{', '.join(f'.{name} = {value}' for name, value in fields.items())}}}"


def _detection(given: Detection) -> dict[str, object]:
    return {
        "meaning": "BOXES",
        "activation": _ACTIVATIONS[given.activation],
        **{
            name: _columns(getattr(given, name))
            for name in ("boxes", "scores", "classes", "keypoints", "angles", "masks")
        },
        "prototypes": c_text(given.prototypes),
        "format": given.box_format.upper(),
        "background": _BACKGROUNDS[given.background],
        "keypoint_size": given.keypoint_size,
        "normalized": int(given.units == "normalized"),
        "nms": int(given.nms),
        "most": given.max_detections,
        "agnostic": int(given.agnostic),
        "confidence": given.confidence,
        "iou": given.iou,
    }


def _columns(given: Columns | None) -> str:
    if given is None:
        return "{NULL, 0, 0, 0}"
    return f"{{{c_text(given.output)}, {given.start}, {given.count}, {given.axis}}}"
