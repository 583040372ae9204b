"""A small trained network, and the data that it was trained on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeopt.testing.specimens import gratings

pytest.importorskip("accelerate")
pytest.importorskip("torch_pruning")

loss = nn.functional.cross_entropy


def draw(count, seed):
    return gratings(count, seed, noise=0.8)


def build():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 4),
    )


@pytest.fixture(scope="session")
def pictures():
    """Returns a function of number and seed, to pictures and labels."""
    return draw


@pytest.fixture(scope="session")
def make_network():
    """Returns a function that makes the architecture, with weights of its own."""
    return build


@pytest.fixture(scope="session")
def data():
    held = torch.utils.data.TensorDataset(*draw(256, 1))
    return torch.utils.data.DataLoader(held, batch_size=64, shuffle=True)


@pytest.fixture(scope="session")
def network(data):
    torch.manual_seed(0)
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(5):
        for x, y in data:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def evaluate():
    x, y = draw(128, 2)

    def share(fn):
        return float((fn(x).argmax(dim=1) == y).float().mean())

    return share


@pytest.fixture(scope="session")
def given(data):
    """What every recipe here is carried out with."""
    return {"example_inputs": torch.zeros(1, 1, 8, 8), "data": data, "loss": loss}


@pytest.fixture(scope="session")
def chain():
    """Prune, distil, train quantized: small."""
    return {
        "name": "chain",
        "steps": [
            {"step": "prune", "macs": 0.5, "steps": 2, "finetune": {"epochs": 1}},
            {"step": "distill", "epochs": 2},
            {"step": "train_quantized", "epochs": 1},
        ],
    }
