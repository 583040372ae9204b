"""What the zoo's image models learn before they are quantized, and the images for it.

A deep network with random weights is chaotic: one rounding changes everything behind it. One that
has learnt only the photographs it is calibrated on goes astray on others. No trained network does
either, so these learn crops of all photographs, brighter and darker and with noise as pictures are;
they are calibrated on crops of one set of photographs and judged by other crops of another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from photographs import calibration_set, held_out_set, photograph_counts
from safetensors.torch import load_model, save_model
from torch import nn

from edgeopt.files import cache_folder

if TYPE_CHECKING:
    import numpy as np

__all__ = ["SIDE", "Crops", "crops", "teach"]

SIDE = 64
"""Of an image, in pixels."""

JUDGED, CROPS_EACH = 200, 8
STEPS, BATCH, RATE, DECAY = 200, 34, 4e-3, 0.05
LIGHT, NOISE = 0.2, 0.1


@dataclass(frozen=True)
class Crops:
    """Crops of photographs.

    Attributes:
        calibration: To calibrate on, float32 (n, 3, SIDE, SIDE).
        judging: To judge by: other photographs, crops that nobody learnt.
        teaching: To learn: crops of both sets of photographs.
        labels: Which photograph each of ``teaching`` was cut from, int64 (n,).
        classes: How many photographs there are.
    """

    calibration: torch.Tensor
    judging: torch.Tensor
    teaching: torch.Tensor
    labels: torch.Tensor
    classes: int


@cache
def crops() -> Crops:
    """Returns the crops, the same ones in every run."""
    first, second = photograph_counts()
    ours = _small(calibration_set(first * (CROPS_EACH + 1)))
    others = _small(held_out_set(JUDGED + second * CROPS_EACH))
    labels = (
        torch.arange(len(ours)) % first,
        first + torch.arange(JUDGED, len(others)) % second,
    )
    return Crops(
        calibration=ours,
        judging=others[:JUDGED],
        teaching=torch.cat([ours, others[JUDGED:]]),
        labels=torch.cat(labels),
        classes=first + second,
    )


def _small(whole: np.ndarray) -> torch.Tensor:
    return nn.functional.interpolate(
        torch.from_numpy(whole),
        size=(SIDE, SIDE),
        mode="bilinear",
        antialias=True,
        align_corners=False,
    )


def teach(model: nn.Module, name: str) -> None:
    """Teaches ``model`` to say which photograph an image was cut from; leaves it in eval mode.

    What a model has learnt is kept in edgeopt's cache, until these benchmarks change.
    """
    kept = cache_folder() / "zoo" / f"{name}-{_state()}.safetensors"
    if kept.exists():
        load_model(model, kept)
    else:
        _train(model)
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_model(model, str(kept))
    model.eval()


def _state() -> str:
    """Returns a digest of what decides what a model learns."""
    files = [
        Path(__file__).with_name(f"{name}.py") for name in ("_teaching", "_zoo", "photographs")
    ]
    content = b"".join(file.read_bytes() for file in files)
    return sha256(content + f"{torch.__version__} {crops().classes}".encode()).hexdigest()[:16]


def _train(model: nn.Module) -> None:
    chance = torch.Generator().manual_seed(0)
    images, labels = crops().teaching, crops().labels
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    model.train()
    for _ in range(STEPS):
        picked = torch.randint(len(images), (BATCH,), generator=chance)
        scores = _scores(model(_varied(images[picked], chance))[0])
        optimizer.zero_grad()
        nn.functional.cross_entropy(scores, labels[picked]).backward()
        optimizer.step()
        rates.step()


def _varied(images: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Returns the images in another light, with noise."""

    def each(channels: int) -> torch.Tensor:
        return torch.rand(len(images), channels, 1, 1, generator=chance)

    lit = images * (1 + LIGHT * (2 * each(3) - 1)) + LIGHT * (each(3) - 0.5)
    return lit + NOISE * each(1) * torch.randn(images.shape, generator=chance)


def _scores(output: torch.Tensor) -> torch.Tensor:
    """Returns (batch, classes) of that, of (…, rows, columns) or of (batch, boxes, classes)."""
    if output.ndim == 4:  # noqa: PLR2004
        return output.flatten(2).mean(2)
    return output.mean(1) if output.ndim == 3 else output  # noqa: PLR2004
