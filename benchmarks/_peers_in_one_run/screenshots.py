"""A detector that was trained, of elements of user interfaces (uitag, YOLO11s), and pictures for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import uitag
from PIL import Image

import edgeopt
from edgeopt.bundles.device.edgeopt_runner.picture import prepare_picture

if TYPE_CHECKING:
    from torch import nn

__all__ = ["crops", "detector"]

FOLDER = Path(uitag.__file__).parent
HEIGHT, WIDTH = 320, 512


def detector() -> tuple[nn.Module, dict[str, Any]]:
    """Returns the float model, and how pictures become its input."""
    named = edgeopt.load_model(f"ultralytics:{FOLDER}/models/yolo-ui.pt", size=(HEIGHT, WIDTH))
    return named.model, msgspec.to_builtins(named.preprocess)


def crops(count: int, preprocess: dict[str, Any], half: int) -> tuple[np.ndarray, ...]:
    """Returns inputs, float32 (count, 3, 320, 512), cut from one half of the package's screenshots.

    Args:
        count: How many.
        preprocess: How a picture becomes an input.
        half: 0 for the left half of each, 1 for the right one.
    """
    random = np.random.default_rng(half)
    pictures = [Image.open(path).convert("RGB") for path in sorted(FOLDER.glob("assets/*.png"))]
    inputs = []
    for number in range(count):
        picture = pictures[number % len(pictures)]
        width = int(random.uniform(0.5, 1.0) * picture.width / 2)
        height = min(width * HEIGHT // WIDTH, picture.height)
        left = half * picture.width // 2 + int(random.integers(0, picture.width // 2 - width + 1))
        top = int(random.integers(0, picture.height - height + 1))
        cut = picture.crop((left, top, left + width, top + height))
        inputs.append(prepare_picture(cut, preprocess)[0])
    return (np.concatenate(inputs).astype(np.float32),)
