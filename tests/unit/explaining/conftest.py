"""Small models with something known about them."""

from __future__ import annotations

import pytest
import torch
from torch import nn


class Classifier(nn.Module):
    """Two convolutions and a linear layer; looks at the upper half of a picture."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.head(x[:, :, :3].mean((2, 3)))


@pytest.fixture(scope="session")
def classifier():
    torch.manual_seed(0)
    return Classifier().eval()


@pytest.fixture(scope="session")
def pictures():
    return [torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(i)) for i in range(28)]
