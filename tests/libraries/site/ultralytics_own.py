"""What ultralytics' own predictors tell of outputs that somebody else computed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import torch
import ultralytics
from ultralytics.models.yolo.detect import DetectionPredictor
from ultralytics.models.yolo.obb import OBBPredictor
from ultralytics.models.yolo.pose import PosePredictor
from ultralytics.models.yolo.segment import SegmentationPredictor

BUS = Path(ultralytics.__file__).parent / "assets" / "bus.jpg"
PREDICTORS = {
    "": DetectionPredictor,
    "-seg": SegmentationPredictor,
    "-pose": PosePredictor,
    "-obb": OBBPredictor,
}
"""What follows the name of a model to what tells its outputs."""


def theirs(predictor, named, outputs, array, confidence):
    """Returns ultralytics' own result, of the photograph `BUS`.

    Args:
        predictor: Of its task.
        named: The model.
        outputs: The raw outputs, as arrays.
        array: The input, for its shape.
        confidence: Score that a box must exceed.
    """
    sys.modules.pop("torchvision", None)  # its kernel for suppression is not there
    one = predictor(overrides={"conf": confidence, "iou": 0.7, "max_det": 300, "save": False})
    head = named.model.model[-1]
    one.model = SimpleNamespace(
        names=dict(enumerate(map(str, range(head.nc)))),
        end2end=False,
        kpt_shape=getattr(head, "kpt_shape", None),
    )
    one.batch = [["bus.jpg"]]
    tensors = [torch.from_numpy(o.copy()) for o in outputs]
    picture = cv2.imread(str(BUS))
    return one.postprocess(
        tensors if len(tensors) > 1 else tensors[0], torch.from_numpy(array.copy()), [picture]
    )[0]
