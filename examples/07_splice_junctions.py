"""Where genes are cut: a 1-D convolutional network reads DNA, and goes to a Raspberry Pi 4 and here.

    python examples/07_splice_junctions.py [folder] [--quick]

What to look at: nothing here is about pictures, and the steps are the same (`prune`, `distill`,
`train_quantized`, `deploy`). The data: 3186 stretches of 60 nucleotides from primate genes
(GenBank 64.1; the StatLog form of UCI's "splice junctions"), from R's package mlbench (GPL-2). Is
the middle where an intron begins (donor), where it ends (acceptor), or neither? Needs Debian's
package r-cran-mlbench. `--quick` trains one network, the longer form three, to say how much chance
moves the figures: a test of 1000 stretches tells differences below one point from nothing badly.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import edgeopt

MISSING = """the DNA of R's package mlbench is missing
  -> sudo apt-get install --no-install-recommends r-cran-mlbench"""
SCRIPT = 'data(DNA, package="mlbench"); write.csv(DNA, row.names=FALSE, quote=FALSE)'
CLASSES = ("ei", "ie", "n")
"""Exon to intron (a donor), intron to exon (an acceptor), neither."""
BASES = {"100": 0, "010": 1, "001": 2, "000": 3}
LENGTH, TRAIN = 60, 2000


def stretches() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns each stretch once, one-hot float32 (n, 4, 60), and its class, int64 (n,)."""
    command = [shutil.which("Rscript") or sys.exit(MISSING), "--vanilla", "-e", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{MISSING}\n{done.stderr}")
    _, *rows = csv.reader(done.stdout.splitlines())
    known = {"".join(bits): CLASSES.index(name) for *bits, name in rows}  # some come twice
    bases = torch.tensor([[BASES[t[i : i + 3]] for i in range(0, 3 * LENGTH, 3)] for t in known])
    return functional.one_hot(bases, 4).float().transpose(1, 2), torch.tensor(list(known.values()))


def layer(before: int, width: int, kernel: int) -> nn.Sequential:
    """Returns a convolution over neighbours, normalized, and half as long."""
    return nn.Sequential(
        nn.Conv1d(before, width, kernel, padding="same", bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.MaxPool1d(2),
    )


def network(width: int) -> nn.Sequential:
    """Returns a network from one-hot DNA (n, 4, 60) to logits (n, 3)."""
    return nn.Sequential(
        layer(4, width, 9),
        layer(width, width, 5),
        layer(width, width, 5),
        nn.Flatten(),  # where it is matters: the junction is in the middle
        nn.Dropout(0.5),
        nn.Linear(width * (LENGTH // 8), 3),
    )


def trained(model: nn.Module, data: DataLoader, epochs: int, teacher: nn.Module | None = None):  # noqa: ANN201
    """Returns a trained copy; without a teacher only the labels count."""
    made = edgeopt.distill(
        model,
        teacher or model,
        data,
        epochs=epochs,
        logits_weight=1.0 if teacher else 0.0,
        task_loss=functional.cross_entropy,
        learning_rate=3e-3,
        warmup=0.1,
        weight_decay=0.05,
    )
    return made.student


def accuracy(fn, inputs: torch.Tensor, labels: torch.Tensor) -> float:  # noqa: ANN001
    """Returns the share of stretches (0 to 1) whose class ``fn`` names."""
    with torch.no_grad():
        return float((fn(inputs).argmax(1) == labels).float().mean())


def chain(folder: Path, seed: int) -> dict[str, tuple[float, float]]:
    """Returns what each step gave: its name to accuracy (0 to 1) and size in bytes."""
    torch.manual_seed(seed)
    inputs, labels = stretches()
    order = torch.randperm(len(labels))
    train, test = order[:TRAIN], order[TRAIN:]
    data = DataLoader(TensorDataset(inputs[train], labels[train]), 64, shuffle=True)
    some = inputs[train][:128].split(1)

    def score(fn) -> float:  # noqa: ANN001 (called as the model is)
        return accuracy(fn, inputs[test], labels[test])

    teacher = trained(network(64), data, epochs=15)
    pruned = edgeopt.prune(
        teacher, inputs[:1], macs=0.15, calibration_data=some, target="rpi4", scope="global"
    )
    student = trained(pruned.module, data, 15, teacher)
    program = edgeopt.train_quantized(
        student,
        data,
        functional.cross_entropy,
        epochs=2,
        example_inputs=inputs[:1],
        calibration_data=some,
        learning_rate=1e-4,
    )
    found = {
        "teacher, float": (score(teacher), float_bytes(teacher)),
        "pruned, not yet trained again": (score(pruned.module), float_bytes(student)),
        "pruned and distilled, float": (score(student), float_bytes(student)),
    }
    for target in ("rpi4", "host"):
        done = edgeopt.deploy(
            program,
            target,
            calibration_data=some,
            precision="int8",
            evaluate=score,
            device="local" if target == "host" else None,
            output=folder / f"{target}-{seed}",
            bundle=edgeopt.BundleOptions(overwrite=True),
        )
        print(done, "\n", flush=True)
        found[f"int8 on {target}, {done.plan.backend}"] = (done.accuracy.value, done.size_bytes)
    return found


def float_bytes(model: nn.Module) -> int:
    """Returns the bytes of a model's weights."""
    return sum(4 * p.numel() for p in model.parameters())


def main(folder: Path, seeds: int) -> None:
    """Goes the whole way ``seeds`` times, and prints what each step gave."""
    start = time.perf_counter()
    runs = [chain(folder, seed) for seed in range(seeds)]
    print(f"{'':32}{'accuracy, %':>16}{'KB':>8}")
    for what in runs[0]:
        scores = [100 * run[what][0] for run in runs]
        spread = f" ± {stdev(scores):.1f}" if seeds > 1 else ""
        size = mean(run[what][1] for run in runs) / 1e3
        print(f"{what:32}{f'{mean(scores):.1f}{spread}':>16}{size:8.1f}")
    print(f"{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", default="out/dna", type=Path)
    asked.add_argument("--quick", action="store_true", help="one network instead of three")
    given = asked.parse_args()
    main(given.folder, seeds=1 if given.quick else 3)
