"""A small network, trained here in seconds, goes to a Raspberry Pi 4 and to this machine.

    python examples/01_quickstart.py [folder]

What to look at: one call for each device, the accuracy measured with your own function, and the
bundle that `edgeopt.load` runs. Needs scikit-learn, for its pictures of handwritten digits.

The network is tiny: calling it costs more than computing it, and int8 may well be slower than float32. On
this machine that is measured, and float32 deployed where it is so; of the Pi nobody knows from here, so
int8, a third of the size, stays, with a warning. A network of usual size gains (examples/demo.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

import edgeopt


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns 1797 pictures, float32 (n, 1, 8, 8) from 0 to 1, and the digit each shows."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    return images, torch.tensor(data.target)


def trained(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """Returns a small CNN, trained."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(8):
        for picked in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[picked]), labels[picked]).backward()
            optimizer.step()
    return model.eval()


def main(folder: Path) -> None:
    """Trains, deploys, and runs a bundle."""
    torch.manual_seed(0)
    images, labels = digits()
    train, test = slice(0, 1400), slice(1400, None)
    model = trained(images[train], labels[train])

    def accuracy(fn) -> float:  # noqa: ANN001 (called as the model is, tensor in, tensor out)
        return float((fn(images[test]).argmax(1) == labels[test]).float().mean())

    for target in ("rpi4", "host"):
        deployment = edgeopt.deploy(
            model,
            target,
            example_inputs=images[:1],
            calibration_data=images[train][:100].split(1),
            evaluate=accuracy,
            max_drop=0.01,
            output=folder / target,
            bundle=edgeopt.BundleOptions(overwrite=True),
        )
        print(deployment, "\n")

    run = edgeopt.load(folder / "host")
    scores = run(images[-1:].numpy())
    print(f"the last picture shows a {labels[-1]}; the bundle says {scores.argmax()}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/quickstart"))
