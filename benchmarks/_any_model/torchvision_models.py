"""torchvision: classifiers at the sizes that are deployed, segmentation, detectors without their selection, films."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from _any_model.entry import Catalogue, images, sampled

if TYPE_CHECKING:
    from _any_model.entry import Entry

__all__ = ["entries"]

_CLASSIFIERS = (
    *("alexnet", "vgg11_bn", "squeezenet1_1", "googlenet", "inception_v3", "densenet121"),
    *("resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "mnasnet0_5", "mobilenet_v2"),
    *("mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny"),
    *("vit_b_32", "swin_t", "swin_v2_t", "maxvit_t"),
)
_SEGMENTATION = (
    *("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large", "fcn_resnet50"),
    "deeplabv3_resnet50",
)
_DETECTORS = (
    *("ssdlite320_mobilenet_v3_large", "ssd300_vgg16", "retinanet_resnet50_fpn"),
    *("fcos_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_320_fpn"),
)
_FILMS = ("r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v1_b", "swin3d_t")


class Heads(torch.nn.Module):
    """A detector as it goes to a device: pyramid and heads; boxes are selected outside.

    A two-stage detector gives what its first stage proposes from.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone = detector.backbone
        self.head = detector.rpn.head if hasattr(detector, "rpn") else detector.head

    def forward(self, x: torch.Tensor) -> Any:
        """Returns scores and boxes of all anchors."""
        levels = self.backbone(x)
        return self.head(list(levels.values()) if isinstance(levels, dict) else [levels])


def entries() -> list[Entry]:
    """Returns the models."""
    from _any_model.packages import make_importable  # noqa: PLC0415

    make_importable()
    from torchvision import models  # noqa: PLC0415 (an optional package)

    found = Catalogue("torchvision")
    plain = {"weights": None}

    def maker(name: str, **settings: Any) -> Any:
        return lambda: models.get_model(name, **plain, **settings)

    for name in _CLASSIFIERS:
        side = 299 if name == "inception_v3" else 224
        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        found.add(name, maker(name, **extra), sampled(images(3, side, side)))
    for name in _SEGMENTATION:
        found.add(name, maker(name, weights_backbone=None), sampled(images(3, 256, 256)))
    for name in _DETECTORS:
        make = maker(name, weights_backbone=None)
        found.add(name, lambda make=make: Heads(make()), sampled(images(3, 320, 320)))
    for name in _FILMS:
        frames = (16, 224, 224) if name in ("mvit_v1_b", "s3d") else (8, 112, 112)
        found.add(name, maker(name), sampled(images(3, *frames)))
    flow = sampled(images(3, 128, 128), images(3, 128, 128))
    found.add("raft_small", maker("raft_small"), flow)
    return found.entries
