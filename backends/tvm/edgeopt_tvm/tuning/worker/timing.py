"""Times of two or three kernels, measured in turn: what slows the machine down slows all of them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Timed", "evaluator", "measured", "race", "ratio"]

SAMPLE_S = 2e-3
"""How long one measurement takes at least."""

NOISE = 0.015
"""Share of the time by which a candidate must be faster before it counts."""

_FIRST, _MORE, _HOPELESS = 3, 9, 1.10


@dataclass
class Timed:
    """One kernel and its times.

    Attributes:
        run: Takes how often to run, and returns the seconds of one run.
        samples: The seconds of one run, by sample.
    """

    run: Callable[[int], float]
    samples: list[float] = field(default_factory=list)
    _number: int = 0

    def sample(self) -> None:
        """Measures once more."""
        if not self._number:
            once = max(self.run(1), 1e-9)
            self._number = max(1, min(1000, round(SAMPLE_S / once)))
            once = max(self.run(self._number), 1e-9)  # the first run was cold
            self._number = max(1, min(20000, round(SAMPLE_S / once)))
        self.samples.append(self.run(self._number))

    @property
    def seconds(self) -> float:
        """The least time: what disturbs only makes it longer."""
        return min(self.samples)


def race(candidate: Timed, best: Timed) -> bool:
    """Returns whether ``candidate`` is faster than ``best`` by more than noise."""
    measured(_FIRST, candidate, best)
    if candidate.seconds > best.seconds * _HOPELESS:
        return False
    measured(_MORE, candidate, best)
    return ratio(candidate, best) < 1 - NOISE


def measured(rounds: int, *every: Timed) -> None:
    """Takes ``rounds`` more samples of each, in turn."""
    for _ in range(rounds):
        for one in every:
            one.sample()


def ratio(one: Timed, other: Timed) -> float:
    """Returns the time of ``one`` as a share of that of ``other``, taken at the same moments.

    Of the least times and the middle of the pairs it is the one nearer to 1: both must say so.
    """
    count = min(len(one.samples), len(other.samples))
    pairs = zip(one.samples[-count:], other.samples[-count:], strict=True)
    middle = statistics.median(a / b for a, b in pairs)
    return min((one.seconds / other.seconds, middle), key=lambda r: abs(math.log(r)))


def evaluator(module: Any, tensors: list[Any], device: Any = None) -> Callable[[int], float]:
    """Returns what runs TVM's function ``main`` a number of times, and returns the mean seconds."""
    import tvm  # noqa: PLC0415 (the toolchain)

    def run(number: int) -> float:
        timer = module.time_evaluator("main", device or tvm.cpu(), number=number, repeat=1)
        return float(timer(*tensors).mean)

    return run
