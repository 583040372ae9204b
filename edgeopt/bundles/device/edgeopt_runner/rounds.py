"""Times functions: alone or in turn, by a clock that only goes forward."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["interleaved", "timed", "warm_up"]

_LEAST_RUNS = 3  # however slow one is
_MOST_WARM_UPS = 200


def timed(function: Callable[[], Any]) -> int:
    """Returns how long one call took, in ns."""
    started = time.perf_counter_ns()
    function()
    return time.perf_counter_ns() - started


def warm_up(
    function: Callable[[], Any], count: int | None = None, limit_s: float = 10.0
) -> list[int]:
    """Returns the times of the warm-up calls, in ns.

    Makes ``count`` calls; without it, calls until the median of the last five times is within 3 %
    of that of the five before, at most 200 calls or ``limit_s`` seconds (but three calls).
    """
    if count is not None:
        return [timed(function) for _ in range(count)]
    times: list[int] = []
    ends = time.perf_counter() + limit_s
    while len(times) < _LEAST_RUNS or (
        len(times) < _MOST_WARM_UPS and time.perf_counter() < ends and not _stable(times)
    ):
        times.append(timed(function))
    return times


def interleaved(
    functions: Mapping[str, Callable[[], Any]],
    *,
    runs: int = 100,
    min_time_s: float = 0.0,
    max_time_s: float = 120.0,
    seed: int = 0,
    between: Callable[[int], Any] | None = None,
) -> dict[str, list[int]]:
    """Returns the raw times of each function in ns, equally many, in the order of the rounds.

    Every round calls each function once, in an order drawn anew: what slows the machine down hits
    all of them alike. Garbage is not collected meanwhile.

    Args:
        functions: Name to what is timed.
        runs: Rounds, at least.
        min_time_s: Go on for so long even if ``runs`` are done.
        max_time_s: Stop then even if not, but not before three rounds.
        seed: Of the orders.
        between: Called after each round with its number; its time counts for nothing.
    """
    names, order = list(functions), np.random.default_rng(seed)
    samples: dict[str, list[int]] = {name: [] for name in names}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    started, rounds = time.perf_counter(), 0
    try:
        while _goes_on(rounds, time.perf_counter() - started, runs, min_time_s, max_time_s):
            for index in order.permutation(len(names)):
                samples[names[index]].append(timed(functions[names[index]]))
            if between is not None:
                between(rounds)
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return samples


def _stable(times: list[int]) -> bool:
    before, last = sorted(times[-10:-5]), sorted(times[-5:])
    return len(before) == len(last) and abs(last[2] - before[2]) <= 0.03 * before[2]


def _goes_on(rounds: int, passed_s: float, runs: int, min_s: float, max_s: float) -> bool:
    if rounds < min(runs, _LEAST_RUNS):
        return True
    return passed_s < max_s and (rounds < runs or passed_s < min_s)
