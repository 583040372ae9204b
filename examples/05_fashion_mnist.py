"""Pictures of clothes: a large network teaches a small one, which goes to a Raspberry Pi 4 and here.

    python examples/05_fashion_mnist.py [folder] [--quick]

What to look at: each step is one call (`prune`, `distill`, `train_quantized`, `deploy`), and takes
what the one before it gave. The pruned teacher learns from what the teacher was, then goes on to
learn on the integers that it will run on: what was trained is what runs. Needs the pictures of
Debian's package dataset-fashion-mnist. `--quick` takes a fifth of them: it shows the way, and
reaches less.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import edgeopt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.deployment.result import Deployment
    from edgeopt.ir import Program
    from edgeopt.pruning import Pruned

PICTURES = Path("/usr/share/datasets/fashion-mnist")
MISSING = "the pictures are missing\n  -> sudo apt-get install dataset-fashion-mnist"
MEAN, SPREAD = 0.2860, 0.3530
"""Of the pixels of the training pictures."""


def clothes(part: str = "train") -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the pictures, float32 (n, 1, 28, 28), standardized, and the class of each, int64 (n,).

    Args:
        part: ``train`` (60 000) or ``t10k`` (10 000 that nobody learns from).
    """
    try:
        pixels, labels = (read_idx(next(PICTURES.glob(f"{part}-{what}*"))) for what in ("i", "l"))
    except StopIteration:
        raise SystemExit(f"{PICTURES}: {MISSING}") from None
    pictures = torch.from_numpy(pixels[:, None].astype(np.float32) / 255)
    return (pictures - MEAN) / SPREAD, torch.from_numpy(labels.astype(np.int64))


def read_idx(path: Path) -> np.ndarray:
    """Returns the bytes of an IDX file: two zeros, type, number of axes, their lengths, the data."""
    with gzip.open(path) as file:
        held = file.read()
    axes = held[3]
    lengths = np.frombuffer(held, ">u4", axes, offset=4)
    return np.frombuffer(held, np.uint8, offset=4 + 4 * axes).reshape(lengths)


class Batches:
    """The training pictures in batches, mirrored and moved a little, anew in each epoch.

    Args:
        pictures: As `clothes` returns them.
        labels: Their classes.
    """

    size = 128

    def __init__(self, pictures: torch.Tensor, labels: torch.Tensor) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.labels) // self.size

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for picked in torch.randperm(len(self.labels))[: len(self) * self.size].split(self.size):
            x = functional.pad(self.pictures[picked], (2, 2, 2, 2), value=-MEAN / SPREAD)
            down, right = torch.randint(0, 5, (2,)).tolist()
            x = x[:, :, down : down + 28, right : right + 28]
            mirrored = torch.rand(len(x), 1, 1, 1) < 0.5  # noqa: PLR2004
            yield torch.where(mirrored, x.flip(3), x), self.labels[picked]


class Block(nn.Module):
    """Two convolutions, and a way around them."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.around = nn.Sequential(
            nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the feature maps."""
        y = torch.relu(self.norm1(self.first(x)))
        return torch.relu(self.norm2(self.second(y)) + self.around(x))


class Network(nn.Module):
    """A small residual network.

    Args:
        widths: Channels of the three stages.
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        a, b, c = widths
        self.stem = nn.Conv2d(1, a, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(a)
        self.stages = nn.Sequential(Block(a, a, 1), Block(a, b, 2), Block(b, c, 2))
        self.head = nn.Linear(c, 10)
        self.to(memory_format=torch.channels_last)  # faster on CPUs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the logits, (n, 10)."""
        x = self.stages(torch.relu(self.norm(self.stem(x))))
        return self.head(x.mean(dim=(2, 3)))


def trained(model: nn.Module, batches: Batches, teacher: nn.Module | None = None, **settings):  # noqa: ANN003, ANN201
    """Returns a trained copy. Without a teacher only the labels count: plain training."""
    chosen = {"learning_rate": 3e-3, "warmup": 0.2, "mixed_precision": fastest(), **settings}
    made = edgeopt.distill(
        model,
        teacher or model,
        batches,
        logits_weight=1.0 if teacher else 0.0,
        task_loss=functional.cross_entropy,
        **chosen,
    )
    return made.student


def fastest() -> str:
    """Returns bfloat16 where this processor computes in it."""
    told = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if told.get("avx512_bf16") or told.get("amx_bf16") else "no"


def smaller(
    teacher: nn.Module, batches: Batches, macs: float, epochs: int, folder: Path | None = None
) -> Pruned:
    """Returns the teacher with a share ``macs`` of its work, in two steps; it learns after each.

    Checkpoints go below ``folder``; a run that was stopped goes on from them.
    """

    def finetune(model: nn.Module, step: int) -> None:
        print(f"  learning after step {step} of pruning …", flush=True)
        kept = {} if folder is None else {"checkpoint": folder / str(step), "checkpoint_every": 40}
        learnt = trained(model, batches, teacher, epochs=epochs, **kept)
        model.load_state_dict(learnt.state_dict())

    return edgeopt.prune(
        teacher,
        batches.pictures[:1],
        macs=macs,
        steps=2,
        finetune=finetune,
        calibration_data=batches.pictures[:64].split(1),
        target="rpi4",
    )


def accuracy(fn, pictures: torch.Tensor, labels: torch.Tensor) -> float:  # noqa: ANN001
    """Returns the share of pictures (0 to 1) whose class ``fn`` names."""
    with torch.no_grad():
        found = [fn(x).argmax(1) for x in pictures.split(500)]
    return float((torch.cat(found) == labels).float().mean())


def main(folder: Path, *, quick: bool) -> None:
    """Trains, compresses and deploys, and prints what each step gave."""
    torch.manual_seed(0)
    pictures, labels = clothes()
    tests, answers = clothes("t10k")
    count, epochs, widths = (60_000, 6, (48, 96, 192))
    if quick:
        count, epochs, widths = (12_000, 2, (32, 64, 128))
        tests, answers = tests[:2000], answers[:2000]
    batches = Batches(pictures[:count], labels[:count])
    rows = [("", "accuracy, %", "KB", "seconds")]
    clock = [time.perf_counter()]

    def note(what: str, score: float, size: float) -> None:
        clock.append(time.perf_counter())
        rows.append(
            (what, f"{100 * score:.2f}", f"{size / 1e3:.0f}", f"{clock[-1] - clock[-2]:.0f}")
        )
        print("  ".join(rows[-1]), flush=True)

    teacher = trained(Network(widths), batches, epochs=epochs)
    note("teacher, float", accuracy(teacher, tests, answers), float_bytes(teacher))

    pruned = smaller(teacher, batches, macs=0.25, epochs=max(1, epochs // 4))
    student = trained(pruned.module, batches, teacher, epochs=epochs)
    note("student, float", accuracy(student, tests, answers), float_bytes(student))

    program = edgeopt.train_quantized(
        student,
        batches,
        functional.cross_entropy,
        epochs=1,
        example_inputs=pictures[:1],
        calibration_data=pictures[:128].split(1),
        learning_rate=3e-4,
    )
    for target in ("rpi4", "host"):
        done = deployed(program, target, folder / target, pictures, (tests, answers))
        print(done, "\n")
        size = done.size_bytes
        note(f"student, int8, {target}, {done.plan.backend}", done.accuracy.value, size)
    print(table(rows))


def deployed(
    program: Program,
    target: str,
    path: Path,
    pictures: torch.Tensor,
    judged: tuple[torch.Tensor, torch.Tensor],
) -> Deployment:
    """Returns the deployment; an emulated Raspberry Pi runs the bundle where there is an emulator."""
    device = {"host": "local", "rpi4": "emulated"}[target]
    if device == "emulated" and shutil.which("qemu-aarch64-static") is None:
        print("qemu-user-static is not installed: no emulated Raspberry Pi runs the bundle")
        device = None
    return edgeopt.deploy(
        program,
        target,
        calibration_data=pictures[:64].split(1),
        evaluate=lambda fn: accuracy(fn, *judged),
        device=device,
        output=path,
        bundle=edgeopt.BundleOptions(overwrite=True),
    )


def float_bytes(model: nn.Module) -> int:
    """Returns the bytes of a model's weights."""
    return sum(4 * p.numel() for p in model.parameters())


def table(rows: list[tuple[str, ...]]) -> str:
    """Returns the rows below each other, columns of equal width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", default="out/fashion", type=Path)
    asked.add_argument("--quick", action="store_true", help="a fifth of the pictures")
    given = asked.parse_args()
    sys.exit(main(given.folder, quick=given.quick))
