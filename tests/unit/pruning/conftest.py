"""Two small models of the kinds that pruning must get right."""

from __future__ import annotations

import pytest
import torch
from torch import nn


class Block(nn.Module):
    """An inverted residual with a depthwise convolution."""

    def __init__(self, width):
        super().__init__()
        self.expand = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(2 * width)
        self.depthwise = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.project = nn.Conv2d(2 * width, width, 1)

    def forward(self, x):
        y = self.bn1(self.expand(x)).relu()
        return x + self.project(self.bn2(self.depthwise(y)).relu())


class Net(nn.Module):
    """A stem, two residual blocks, and a flattened end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(Block(16), Block(16))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.hidden = nn.Linear(64, 24)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        y = self.pool(self.blocks(self.stem(x).relu())).flatten(1)
        return self.head(self.hidden(y).relu())


@pytest.fixture
def make_net():
    def make(seed=0):
        torch.manual_seed(seed)
        return Net().eval()

    return make


@pytest.fixture
def net(make_net):
    return make_net()


@pytest.fixture
def example():
    return torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def data():
    source = torch.Generator().manual_seed(2)
    return [torch.randn(1, 3, 8, 8, generator=source) for _ in range(6)]


@pytest.fixture
def make_vit():
    transformers = pytest.importorskip("transformers")

    def make():
        torch.manual_seed(0)
        config = transformers.ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=32,
            patch_size=16,
        )
        return transformers.ViTForImageClassification(config).eval()

    return make
