"""A classifier of cell nuclei, whose features no integers hold together.

    python examples/04_tabular.py [folder]

What to look at: `max_drop`, a promise, and what is kept in float, and why. The data set (breast
cancer, Wisconsin; in scikit-learn) has 30 features from 0.001 to 4000, and the first layer takes
them as they are. One set of integers for all of them drowns the small ones; quantization measures
that, keeps the layer in float and says so. Best is to scale the features before.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

import edgeopt


def trained(features: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    """Returns a network of one hidden layer, trained on scaled features, for unscaled ones."""
    mean, std = features.mean(0), features.std(0)
    model = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model((features - mean) / std), labels).backward()
        optimizer.step()
    first = model[0]
    with torch.no_grad():  # the scaling goes into the first layer
        first.weight /= std
        first.bias -= first.weight @ mean
    return model.eval()


def main(folder: Path) -> None:
    """Trains, and deploys."""
    torch.manual_seed(0)
    data = load_breast_cancer()
    shuffled = torch.randperm(len(data.target))
    features = torch.tensor(data.data, dtype=torch.float32)[shuffled]
    labels = torch.tensor(data.target)[shuffled]
    model = trained(features[:400], labels[:400])

    def accuracy(fn) -> float:  # noqa: ANN001 (called as the model is)
        return float((fn(features[400:]).argmax(1) == labels[400:]).float().mean())

    result = edgeopt.deploy(
        model,
        "rpi4",
        example_inputs=features[:1],
        calibration_data=features[:100].split(1),
        evaluate=accuracy,
        max_drop=0.01,
        precision="int8",
        output=folder / "nuclei",
        checks=edgeopt.Checks(speed=False),
        bundle=edgeopt.BundleOptions(overwrite=True),
    )
    print(result)
    step = next(step for step in result.program.history if step.name == "quantize")
    for value, reason in step.effect.get("float", {}).items():
        print(f"in float: {value}: {reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/tabular"))
