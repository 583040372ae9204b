"""What all benchmarks share: the machine's facts, and results that lie beside what was printed."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Report", "likeness", "machine", "option_parser", "versions"]

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "torch",
    "numpy",
    "ai-edge-litert",
    "openvino",
    "ai-edge-quantizer",
    "litert-torch",
    "nncf",
    "transformers",
)


class Report:
    """A benchmark's result: lines that are printed, and figures that are written as JSON.

    Args:
        name: The benchmark's file name without ``.py``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._figures: dict[str, Any] = {}
        self._machine = machine()
        print(f"{name} on {self._machine['cpu']}, {self._machine['cores']} cores")

    def add(self, key: str, value: Any, text: str) -> None:
        """Prints ``text`` and keeps ``value`` under ``key``."""
        self._figures[key] = value
        print(f"  {text}", flush=True)

    def write(self, *, update: bool = False) -> Path:
        """Returns the path of the JSON, written now.

        What hinders the machine besides is part of the result: the load before and after.

        Args:
            update: Whether figures of an earlier run that this one did not make stay: only for such as depend on no
                machine.
        """
        path = RESULTS / f"{self.name}.json"
        if update and path.exists():
            earlier = json.loads(path.read_text(encoding="utf-8"))["figures"]
            self._figures = {**earlier, **self._figures}
        loads = {"load_average_after": os.getloadavg()[0]}
        held = {
            "benchmark": self.name,
            "command": f"python benchmarks/{self.name}.py",
            "machine": {**self._machine, **loads},
            "versions": versions(),
            "figures": self._figures,
        }
        RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
        print(f"  -> benchmarks/results/{self.name}.json")
        return path


def option_parser(document: str | None, *, fresh: bool = False) -> argparse.ArgumentParser:
    """Returns a parser of the command line, whose ``--help`` prints the benchmark's docstring.

    Args:
        document: The docstring.
        fresh: Whether there is ``--fresh``, which the modules that keep what was made look for.
    """
    parser = argparse.ArgumentParser(
        description=document, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if fresh:
        parser.add_argument("--fresh", action="store_true", help="make anew what is kept")
    return parser


def machine() -> dict[str, Any]:
    """Returns what the figures depend on: CPU, vector extensions, cores, memory, load."""
    from edgeopt.devices import LocalDevice  # noqa: PLC0415 (startup.py measures this import)

    with LocalDevice() as here:
        facts = here.facts()
    told = ("cpu", "arch", "cores", "memory_mb", "os", "governor")
    fast = [f for f in facts["isa"] if f in {"avx2", "avx512f", "avx512_vnni", "amx_int8"}]
    return {
        **{key: facts[key] for key in told},
        "isa": fast,
        "python": platform.python_version(),
        "load_average_before": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Returns the version of each package that is installed and has to do with the figures."""
    found = {}
    for name in ("edgeopt", *_PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def likeness(reference: np.ndarray, got: np.ndarray) -> dict[str, float]:
    """Returns how near logits (inputs, classes) are to the float model's.

    ``snr_db`` is over all of them, ``snr_db_mean`` the mean over inputs, ``agreement`` the share of
    inputs (0 to 1) for which both name the same class.
    """
    want, error = reference.astype(np.float64), (reference - got).astype(np.float64)
    signal, noise = np.square(want).sum(axis=1), np.square(error).sum(axis=1)
    return {
        "snr_db": _decibels(signal.sum() / noise.sum()),
        "snr_db_mean": float(
            np.mean([_decibels(s / n) for s, n in zip(signal, noise, strict=True)])
        ),
        "agreement": float((reference.argmax(1) == got.argmax(1)).mean()),
    }


def run_all(runner: Any, inputs: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the outputs of a runner with one output, one call each, stacked along the batch."""
    return np.concatenate([runner(x) for x in inputs])


def _decibels(ratio: float) -> float:
    return float("inf") if math.isinf(ratio) else 10.0 * math.log10(ratio)


if __name__ == "__main__":
    sys.exit("this module holds what the benchmarks share; run one of them")
