"""All of a model's artefacts timed in turn, each in a process of its own that stays alive."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from _peers_in_one_run.rows import Timing
from _peers_in_one_run.serving import WorkerError
from edgeopt.measure import ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _peers_in_one_run.serving import Server

__all__ = ["compared", "timed"]

BURST_S, SHORTEST = 0.05, 2
"""How long a worker is asked to go on before the next has its turn; calls, at least."""


def timed(servers: Mapping[str, Server], rounds: int) -> dict[str, list[float]]:
    """Returns name to the median times in ns of its bursts, one a round, in the order of the rounds.

    Every round asks each worker once, in an order drawn anew. One that ends or does not answer is left out.
    """
    alive, bursts = dict(servers), {}
    for name, server in servers.items():
        try:
            first = float(np.median(server.ask(burst=SHORTEST)["ns"]))
        except WorkerError:
            del alive[name]
            continue
        bursts[name] = max(SHORTEST, min(2000, round(BURST_S * 1e9 / first)))
    times: dict[str, list[float]] = {name: [] for name in alive}
    order, chance = list(alive), random.Random(0)  # noqa: S311 (no secret)
    for turn in range(-1, rounds):
        chance.shuffle(order)
        for name in list(order):
            try:
                spent = float(np.median(alive[name].ask(burst=bursts[name])["ns"]))
            except WorkerError:
                order.remove(name)
                del times[name]
                continue
            if turn >= 0:
                times[name].append(spent)
    return times


def compared(times: Mapping[str, list[float]], beside: str, threads: int) -> dict[str, Timing]:
    """Returns name to its latency, and how it relates to that of ``beside`` in the same rounds."""
    timings = {}
    for name, spent in times.items():
        to = ratio(spent, times[beside])  # type: ignore[arg-type] (medians of whole numbers)
        ends = (to.value if end is None else end for end in (to.low, to.high))
        timings[name] = Timing(threads, float(np.median(spent)) / 1e6, to.value, *ends)
    return timings
