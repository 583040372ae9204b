"""Networks whose speed is compared: MobileNetV2 at two sizes, and EfficientNet-Lite0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from _lite0 import lite0
from photographs import calibration_set

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NETWORKS", "pictures"]


class _Scores(torch.nn.Module):
    """A classifier of transformers that returns its scores alone, as ONNX wants it."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns scores of shape (batch, classes)."""
        scores: torch.Tensor = self.model(x).logits
        return scores


def _mobilenet(side: int) -> torch.nn.Module:
    import transformers  # noqa: PLC0415 (slow)

    torch.manual_seed(0)
    config = transformers.MobileNetV2Config(image_size=side, num_labels=1000)
    return _Scores(transformers.MobileNetV2ForImageClassification(config)).eval()


NETWORKS: dict[str, tuple[Callable[[], torch.nn.Module], int]] = {
    "MobileNetV2 96": (lambda: _mobilenet(96), 96),
    "MobileNetV2 224": (lambda: _mobilenet(224), 224),
    "EfficientNet-Lite0": (lite0, 224),
}
"""Name to a function that makes the float model, and the side of its pictures in pixels."""


def pictures(side: int, count: int) -> torch.Tensor:
    """Returns ``count`` photographs of shape (3, side, side), in one tensor."""
    whole = torch.from_numpy(calibration_set(count))
    return torch.nn.functional.interpolate(whole, size=(side, side), mode="area")
