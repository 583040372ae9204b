"""Times several things in turn, so that what slows the machine down hits all of them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.bundles.device.edgeopt_runner.rounds import interleaved, warm_up
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
    It is the loop that measures on devices too.

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
    return interleaved(
        functions, runs=runs, min_time_s=min_time_s, max_time_s=max_time_s, seed=seed
    )
