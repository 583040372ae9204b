"""The four networks of MLPerf Tiny as plain PyTorch modules, seeded, their batch norms settled on their inputs.

Source: Banbury et al., MLPerf Tiny Benchmark (2021), and its reference implementations. Weights are random: what is
measured is size, memory and numbers, not accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MODELS", "MicroModel", "micro_model"]

_SETTLING = 8
"""Batches on which batch norms settle."""
_BATCH = 8


@dataclass(frozen=True)
class MicroModel:
    """A network and what it reads.

    Attributes:
        name: What it is called in tables.
        model: In evaluation mode.
        samples: Inputs of batch 1.
    """

    name: str
    model: nn.Module
    samples: list[tuple[torch.Tensor, ...]]


def micro_model(name: str, samples: int) -> MicroModel:
    """Returns the network ``name`` of `MODELS` with ``samples`` inputs; the same each time."""
    build, shape = MODELS[name]
    generator = torch.Generator().manual_seed(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build()
    model.train()
    with torch.no_grad():
        for _ in range(_SETTLING):
            model(torch.randn(_BATCH, *shape, generator=generator))
    inputs = [(torch.randn(1, *shape, generator=generator),) for _ in range(samples)]
    return MicroModel(name, model.eval(), inputs)


def _convolution(
    inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, groups: int = 1
) -> nn.Sequential:
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (sides[0] // 2, (sides[1] - 1) // 2)
    convolution = nn.Conv2d(inputs, outputs, sides, stride, padding, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        _convolution(inputs, inputs, 3, stride, groups=inputs), _convolution(inputs, outputs, 1)
    )


def _head(channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def ds_cnn() -> nn.Module:
    """Returns the keyword spotter: 49 frames of 10 coefficients, 64 channels, 12 classes."""
    blocks = [_separable(64, 64) for _ in range(4)]
    return nn.Sequential(_convolution(1, 64, (10, 4), stride=2), *blocks, _head(64, 12))


def mobilenet() -> nn.Module:
    """Returns MobileNetV1 with a quarter of its channels, for visual wake words at 96 x 96."""
    widths = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)]
    widths += [(128, 128, 1)] * 5 + [(128, 256, 2), (256, 256, 1)]
    blocks = [_separable(*width) for width in widths]
    return nn.Sequential(_convolution(3, 8, 3, stride=2), *blocks, _head(256, 2))


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs, 3, stride)
        self.second = _convolution(outputs, outputs, 3)[:2]
        same = inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns what the block makes of ``x``."""
        return (self.second(self.first(x)) + self.shortcut(x)).relu()


def resnet8() -> nn.Module:
    """Returns ResNet-8 for pictures of 32 x 32 in ten classes."""
    blocks = [_Residual(16, 16, 1), _Residual(16, 32, 2), _Residual(32, 64, 2)]
    return nn.Sequential(_convolution(3, 16, 3), *blocks, _head(64, 10))


def autoencoder() -> nn.Module:
    """Returns the dense autoencoder of anomaly detection: five frames of 128 mel bands."""
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ds-cnn": (ds_cnn, (1, 49, 10)),
    "mobilenet-v1-0.25": (mobilenet, (3, 96, 96)),
    "resnet-8": (resnet8, (3, 32, 32)),
    "autoencoder": (autoencoder, (640,)),
}
"""Name to what builds it, and the shape of one input."""
