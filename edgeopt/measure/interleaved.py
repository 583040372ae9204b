"""Times several things in turn, so that what slows the machine down hits all of them alike."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeopt.bundles.device.edgeopt_runner.timing import timed, warm_up
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["interleave"]


def interleave(
    functions: Mapping[str, Callable[[], Any]],
    *,
    warmup: int | None = None,
    runs: int = 100,
    min_time_s: float = 0.0,
    max_time_s: float = 120.0,
    seed: int = 0,
) -> dict[str, list[int]]:
    """Returns the raw times of each function in ns, equally many, in the order of the rounds.

    Every round calls each function once, in an order drawn anew. Garbage is not collected meanwhile.

    Args:
        functions: Name to what is timed.
        warmup: Calls of each before; None: until its times are stable.
        runs: Rounds, at least.
        min_time_s: Go on for so long even if ``runs`` are done.
        max_time_s: Stop then even if not, but not before three rounds.
        seed: Of the orders.

    Raises:
        InputError: There is no function, or no run is asked for.
    """
    if not functions or runs < 1:
        raise InputError(f"{len(functions)} functions, {runs} runs", where="interleave")
    for function in functions.values():
        warm_up(function, warmup)
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
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return samples


def _goes_on(rounds: int, passed_s: float, runs: int, min_s: float, max_s: float) -> bool:
    if rounds < min(runs, 3):
        return True
    return passed_s < max_s and (rounds < runs or passed_s < min_s)
