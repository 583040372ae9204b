"""torchvision's detectors of one stage as modules of tensors: a picture in, all boxes and their scores out.

Their own forward takes pictures of any size, and selects boxes. Here `edgeopt.Preprocess` and `edgeopt.Detection`
say what lies before and after the network; anchors are constants of the one size that is compiled.
"""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.options import Columns, Detection, Preprocess
from edgeopt.sources.packages import imported

__all__ = ["Detector", "classes_of", "detection_of", "is_one_stage", "picture_of", "sides_of"]

_KINDS = {"SSD": "softmax", "RetinaNet": "sigmoid", "FCOS": "none"}
"""Architecture to what makes probabilities of its scores."""


def is_one_stage(name: str) -> bool:
    """Returns whether a model of this name can be taken: the others select boxes between two networks."""
    return name.startswith(("ssd", "retinanet", "fcos"))


class Detector(torch.nn.Module):
    """A detector of torchvision, without the selection of boxes.

    Attributes:
        anchors: Two corners in pixels, (boxes, 4).

    Args:
        detector: The model.
        sides: Height and width of the pictures.
    """

    anchors: torch.Tensor

    def __init__(self, detector: Any, sides: tuple[int, int]) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head
        self.coder, self.kind = detector.box_coder, type(detector).__name__
        self.register_buffer("anchors", _anchors(detector, sides))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns ``boxes``, (batch, boxes, 4): two corners in pixels; and ``scores``, (batch, boxes, classes).

        Args:
            x: Normalized pictures, (batch, 3, height, width).
        """
        outputs = self.head(list(self.backbone(x).values()))
        codes, scores = outputs["bbox_regression"], outputs["cls_logits"]
        if self.kind == "FCOS":
            scores = (scores.sigmoid() * outputs["bbox_ctrness"].sigmoid()).sqrt()
            return {"boxes": self.coder.decode(codes, self.anchors), "scores": scores}
        return {"boxes": self._decoded(codes), "scores": scores}

    def _decoded(self, codes: torch.Tensor) -> torch.Tensor:
        """Returns corners: codes are the middle's distance and the logarithm of the size, beside an anchor's."""
        left_top, right_bottom = self.anchors[:, :2], self.anchors[:, 2:]
        sizes = right_bottom - left_top
        weights = codes.new_tensor(self.coder.weights)
        moved = codes[..., :2] / weights[:2] * sizes + (left_top + 0.5 * sizes)
        limits = (codes[..., 2:] / weights[2:]).clamp(max=self.coder.bbox_xform_clip)
        halves = 0.5 * sizes * limits.exp()
        return torch.cat([moved - halves, moved + halves], -1)


def _anchors(detector: Any, sides: tuple[int, int]) -> torch.Tensor:
    detection = imported("torchvision", "torchvision").models.detection
    picture = torch.zeros(1, 3, *sides)
    with torch.no_grad():
        features = list(detector.eval().backbone(picture).values())
        anchors: torch.Tensor = detector.anchor_generator(
            detection.image_list.ImageList(picture, [sides]), features
        )[0]
    return anchors


def classes_of(detector: Any) -> int:
    """Returns how many scores a box has, the background's among them."""
    head = detector.head.classification_head
    return int(head.num_columns if hasattr(head, "num_columns") else head.num_classes)


def sides_of(detector: Any) -> tuple[int, int]:
    """Returns height and width that a detector is usually given: its own, or a square of its shorter side."""
    fixed, shorter = detector.transform.fixed_size, detector.transform.min_size
    if fixed is not None:
        return fixed[1], fixed[0]
    side = -(-shorter[-1] // 32) * 32
    return side, side


def picture_of(detector: Any, sides: tuple[int, int]) -> Preprocess:
    """Returns how a picture is prepared: as the model's own transform does, but to one size."""
    own = detector.transform
    mean, std = tuple(map(float, own.image_mean)), tuple(map(float, own.image_std))
    fields: dict[str, Any] = {"mean": mean, "std": std, "antialias": False}
    if (
        own.fixed_size is None
    ):  # it keeps the proportions, and pads below and at the right with the mean
        fill = tuple(round(255 * one) for one in mean)
        fields |= {"fit": "letterbox", "align": "top-left", "fill": fill}
    return Preprocess(resize=sides, **fields)


def detection_of(detector: Any) -> Detection:
    """Returns which output is what, and how boxes are selected."""
    kind: Any = _KINDS[type(detector).__name__]
    return Detection(
        boxes=Columns(output="boxes"),
        scores=Columns(output="scores"),
        activation=kind,
        background="first" if kind == "softmax" else "none",
        iou=float(detector.nms_thresh),
        max_detections=int(detector.detections_per_img),
    )
