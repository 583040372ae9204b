"""Which architectures can be pruned by 30 %, run, captured, saved and deployed: a table.

    python benchmarks/pruning_zoo.py [--backend tflite] [--only vit,bert]

Small configurations of transformers' architectures with random weights and inputs: it says what
works, nothing of accuracy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers as hf
from _common import option_parser

import edgeopt

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = 64


def zoo() -> dict[str, Callable[[], torch.nn.Module]]:
    """Returns a factory of each architecture."""
    wide = {"hidden_sizes": [16, 32, 64, 128], "depths": [1, 1, 1, 1]}
    small = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
    }
    half = hf.EfficientNetConfig(width_coefficient=0.5, depth_coefficient=0.5, hidden_dim=640)
    swin = hf.SwinConfig(
        image_size=IMAGE, embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=4
    )
    return {
        "resnet": lambda: hf.ResNetForImageClassification(
            hf.ResNetConfig(embedding_size=16, **wide)
        ),
        "mobilenet_v2": lambda: hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config()),
        "efficientnet": lambda: hf.EfficientNetForImageClassification(half),
        "vit": lambda: hf.ViTForImageClassification(hf.ViTConfig(image_size=IMAGE, **small)),
        "swin": lambda: hf.SwinForImageClassification(swin),
        "convnext": lambda: hf.ConvNextForImageClassification(hf.ConvNextConfig(**wide)),
        "bert": lambda: hf.BertForSequenceClassification(hf.BertConfig(vocab_size=200, **small)),
    }


def attempt(name: str, make: Callable[[], torch.nn.Module], backend: str) -> str:
    """Returns how far one architecture came, as the row of a table."""
    torch.manual_seed(0)
    x: Any = (torch.randn(1, 3, IMAGE, IMAGE),)
    if name == "bert":
        x = (torch.randint(0, 100, (1, 16)),)
    stage = "prune"
    try:
        model = make().eval()
        pruned = edgeopt.prune(model, x, ratio=0.3, calibration_data=[x])
        stage = "load"
        with tempfile.TemporaryDirectory() as folder:
            edgeopt.load_pruned(pruned.save(Path(folder) / "p"), make)
        stage = "capture"
        program = edgeopt.capture(pruned.module, x)
        stage = "deploy"
        edgeopt.compile(program, "host", backend=backend)
    except Exception as error:  # noqa: BLE001 (a table of what fails)
        return f"{name:14} FAIL at {stage}: {str(error).splitlines()[0][:90]}"
    report = pruned.report
    left = report.macs[1] / report.macs[0], report.parameters[1] / report.parameters[0]
    return f"{name:14} ok    MACs {left[0]:.0%}, parameters {left[1]:.0%}"


def main() -> None:
    """Prints the table."""
    parser = option_parser(__doc__)
    parser.add_argument("--backend", default="tflite")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    rows = []
    for name, make in zoo().items():
        if not asked.only or name in asked.only.split(","):
            rows.append(attempt(name, make, asked.backend))
            print(rows[-1], flush=True)
    print(f"{sum(' ok ' in row for row in rows)} of {len(rows)} pass")


if __name__ == "__main__":
    main()
