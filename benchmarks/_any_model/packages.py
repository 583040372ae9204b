"""Makes timm, torchvision and ultralytics importable: they lie in a folder of their own.

Their packages ask for another torch than the one that is pinned here (``make any-model`` installs them without
what they ask for), and torchvision's extension does not load beside it. What it registers is declared here, so
that the Python around it imports; no model of the zoo calls it.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import torch

__all__ = ["make_importable"]

FOLDER = Path(__file__).parents[2] / "out" / "models"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def make_importable() -> torch.library.Library:
    """Returns the library of torchvision's operators; adds the folder to the path on the first call."""
    sys.path.append(str(FOLDER))  # last: what is installed stays as it is
    settings = FOLDER.parent / "ultralytics"
    settings.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("YOLO_CONFIG_DIR", str(settings))  # not in the user's folder
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("MPLCONFIGDIR", str(settings))
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library
