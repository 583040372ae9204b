"""Small models whose quantization is understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from edgeopt.ir import Program, capture_module
from edgeopt.passes import run_core

if TYPE_CHECKING:
    from collections.abc import Callable


class Residual(nn.Module):
    """Convolution, depthwise convolution, projection, residual add, pooling, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.expand = nn.Conv2d(16, 32, 1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.project = nn.Conv2d(32, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns logits."""
        x = self.stem(x)
        y = torch.relu(self.expand(x))
        y = torch.nn.functional.relu6(self.depthwise(y))
        x = x + self.project(y)
        return self.head(torch.relu(x).mean((2, 3)))


class Encoder(nn.Module):
    """One pre-norm transformer block with a few large channels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.norm = nn.LayerNorm(32)
        self.up = nn.Linear(32, 64)
        self.down = nn.Linear(64, 32)
        with torch.no_grad():
            self.norm.weight[:2] *= 30

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns tokens."""
        x = self.embed(x)
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


@pytest.fixture
def program() -> Callable[..., Program]:
    """Returns a function that captures a module, seeded, in canonical form."""

    def make(module: Callable[[], nn.Module], *inputs: torch.Tensor) -> Program:
        torch.manual_seed(0)
        return run_core(capture_module(module().eval(), inputs))

    return make


@pytest.fixture
def residual(program: Callable[..., Program]) -> Program:
    """A small convolutional network with a residual add."""
    return program(Residual, torch.zeros(1, 3, 12, 12))


@pytest.fixture
def encoder(program: Callable[..., Program]) -> Program:
    """A small transformer block."""
    return program(Encoder, torch.zeros(1, 6, 8))


@pytest.fixture
def images() -> list[torch.Tensor]:
    """Correlated images: a smooth field with noise, as photographs are."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(24, 3, 3, 3, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=12, mode="bilinear")
    noise = 0.1 * torch.randn(24, 3, 12, 12, generator=generator)
    return list((fine + noise).split(1))


@pytest.fixture
def tokens() -> list[torch.Tensor]:
    """Sequences of six tokens."""
    generator = torch.Generator().manual_seed(2)
    return list(torch.randn(24, 6, 8, generator=generator).split(1))
