"""What all workers share: each is a program of its own, that runs in the environment of its peer.

    python with_PEER.py deploy CASE FOLDER SETTINGS
    python with_PEER.py serve CASE FOLDER SETTINGS THREADS

The first makes an artefact of the case's model and says what that took. The second loads it and answers lines of
JSON on its standard input: ``{"outputs": PATH}`` writes what it computes of the case's checks, ``{"burst": N}``
tells the times of N calls in nanoseconds. Needs only numpy besides the peer.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sample = tuple[np.ndarray, ...]
    Runner = Callable[[Sample], np.ndarray]

__all__ = ["Case", "work"]


class Case:
    """A model with inputs, as `_peers_in_one_run.cases` wrote it.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.model = folder / "model.pt2"
        self.is_transformer = json.loads((folder / "case.json").read_text())["transformer"]
        self.calibration = _samples(folder / "calibration.npz")
        self.checks = _samples(folder / "checks.npz")

    def program(self) -> Any:
        """Returns the float model, an ``ExportedProgram``."""
        import torch  # noqa: PLC0415 (a server without torch needs none)

        return torch.export.load(self.model)

    def tensors(self) -> list[tuple[Any, ...]]:
        """Returns the calibration inputs as torch takes them."""
        import torch  # noqa: PLC0415

        return [tuple(map(torch.from_numpy, sample)) for sample in self.calibration]


def work(
    deploy: Callable[[Case, Path, dict[str, Any]], dict[str, Any]],
    load: Callable[[Case, Path, dict[str, Any], int], Runner],
) -> None:
    """Does what the command line asks for.

    Args:
        deploy: Writes the artefact into the folder, and returns what is to be told of it.
        load: Returns what computes the output of one sample with so many threads.
    """
    task, case, folder, settings, *rest = sys.argv[1:]
    arguments = (Case(Path(case)), Path(folder), json.loads(settings))
    if task == "deploy":
        with _chatter_aside():
            told = deploy(*arguments)
        print(json.dumps({**told, **_spent()}), flush=True)
        return
    threads = int(rest[0])
    _pin(threads)
    with _chatter_aside():
        runner = load(*arguments, threads)
        runner(arguments[0].checks[0])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        with _chatter_aside():
            answer = _answer(json.loads(line), runner, arguments[0])
        print(json.dumps(answer), flush=True)


def _answer(asked: dict[str, Any], runner: Runner, case: Case) -> dict[str, Any]:
    if "outputs" in asked:
        np.save(asked["outputs"], np.concatenate([runner(sample) for sample in case.checks]))
        return {"written": True}
    sample = case.checks[0]
    runner(sample)  # what others left in the caches is not timed
    times = []
    for _ in range(asked["burst"]):
        before = time.perf_counter_ns()
        runner(sample)
        times.append(time.perf_counter_ns() - before)
    return {"ns": times}


def _pin(threads: int) -> None:
    """Leaves the process as many cores as it may have threads: no runtime takes more than it says."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:threads])


def _spent() -> dict[str, float]:
    """Returns the memory of this process or the largest of its children at their peak, and time on processors."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    seconds = sum(usage.ru_utime + usage.ru_stime for usage in (own, others))
    return {"peak_mb": max(own.ru_maxrss, others.ru_maxrss) / 1024, "processor_s": seconds}


def _samples(path: Path) -> list[Sample]:
    with np.load(path, allow_pickle=False) as arrays:
        inputs = [arrays[name] for name in sorted(arrays.files)]
    return [tuple(array[i : i + 1] for array in inputs) for i in range(len(inputs[0]))]


@contextlib.contextmanager
def _chatter_aside() -> Iterator[None]:
    """Sends what libraries print to the standard error: the standard output is for answers."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
