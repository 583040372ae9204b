"""A device that edgeopt does not know: one TOML file, and everything else works as before.

    python examples/02_own_device.py [folder]

What to look at: `my_board.toml` beside this file, what `edgeopt.deploy` pins for that board's CPU
and Python, and what a wrong descriptor says. The network has random weights and sees no real data,
so nothing is quantized with activations: `int8-dynamic` needs none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

import edgeopt
from edgeopt.errors import TargetError

BOARD = Path(__file__).with_name("my_board.toml")


def main(folder: Path) -> None:
    """Deploys to the board, then breaks its descriptor."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 8)).eval()
    deployment = edgeopt.deploy(
        model,
        BOARD,
        example_inputs=torch.randn(1, 64),
        precision="int8-dynamic",
        checks=edgeopt.Checks(speed=False),
        output=folder / "my-board",
        bundle=edgeopt.BundleOptions(overwrite=True),
    )
    print(deployment)
    print("on the board: pip install", *deployment.bundle.manifest.requirements)

    broken = folder / "broken.toml"
    broken.write_text(BOARD.read_text().replace('["tflite"]', "3"))
    try:
        edgeopt.deploy(model, broken, example_inputs=torch.randn(1, 64))
    except TargetError as error:
        print("a wrong descriptor says:", error)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/own_device"))
