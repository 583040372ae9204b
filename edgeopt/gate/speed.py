"""Speed against float on the same runtime, in interleaved runs on this machine."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgeopt.contracts import Runner

__all__ = ["Speed", "check_speed"]

WARM_UP = 5
MIN_RUNS, MAX_RUNS = 10, 400
ROOM = 1.03
"""Ratios up to this are called equal: two runs of one artefact differ by as much."""


class Speed(msgspec.Struct, frozen=True):
    """A compressed artefact beside the float32 one of the same backend.

    Attributes:
        precision: What was compressed to.
        ms: Median of a call of the compressed artefact, in ms, on this machine.
        float_ms: Median of a call of the float32 artefact, likewise.
        ratio: ``ms / float_ms``, the median over rounds; below 1 the compressed one is faster.
        runs: Timed calls of each.
        threads: Threads of the runtime; 0 where it chose.
        machine: CPU of this machine.
        on_target: Whether this machine is the target. If not, the figures say nothing of it.
        reasons: Why it is not faster; empty where it is.
    """

    precision: str
    ms: float
    float_ms: float
    ratio: float
    runs: int
    threads: int
    machine: str
    on_target: bool
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is not slower than float."""
        return self.ratio <= ROOM

    @property
    def label(self) -> str:
        """What the figures are of: never the target's latency unless they are."""
        return "this machine, the target" if self.on_target else "host, not the target"

    def __str__(self) -> str:
        times = f"{self.precision} {self.ms:.3f} ms, float32 {self.float_ms:.3f} ms"
        threads = f", {self.threads} threads" if self.threads else ""
        return f"{times}: ratio {self.ratio:.2f} ({self.runs} runs each, {self.machine}{threads})"


def check_speed(  # noqa: PLR0913 (what is measured, and how it is called in reports)
    runner: Runner,
    float_runner: Runner,
    sample: Sequence[np.ndarray],
    *,
    precision: str,
    threads: int,
    machine: str,
    on_target: bool,
    budget_s: float = 4.0,
) -> Speed:
    """Returns how fast ``runner`` is beside ``float_runner``, in interleaved runs.

    Args:
        runner: The compressed artefact.
        float_runner: The float32 artefact of the same backend.
        sample: One call's inputs.
        precision: What was compressed to, for the report.
        threads: Threads of both, for the report.
        machine: CPU of this machine, for the report.
        on_target: Whether this machine is the target.
        budget_s: About how long to measure.
    """
    times: tuple[list[float], list[float]] = ([], [])
    pair = (runner, float_runner)
    for _ in range(WARM_UP):
        for one in pair:
            one(*sample)
    end = time.perf_counter() + budget_s
    while len(times[0]) < MIN_RUNS or (time.perf_counter() < end and len(times[0]) < MAX_RUNS):
        for one, held in zip(pair, times, strict=True):
            start = time.perf_counter()
            one(*sample)
            held.append(1e3 * (time.perf_counter() - start))
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    return Speed(
        precision=precision,
        ms=statistics.median(times[0]),
        float_ms=statistics.median(times[1]),
        ratio=ratio,
        runs=len(times[0]),
        threads=threads,
        machine=machine,
        on_target=on_target,
    )
