"""What raw times say: a median, percentiles only where enough runs carry them, and comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Latency", "Ratio", "ratio", "ratio_of", "summarize"]

RUNS_FOR_P90, RUNS_FOR_P99 = 64, 662
"""With so many runs, one of them lies above the percentile with a probability of 99.87 %."""

MIN_PAIRS = 8
"""With fewer runs, an interval of the ratio says nothing."""

PROCESS = 0.01
"""How far the medians of two processes may be apart for no reason that their runs show."""

_RESAMPLES = 2000
_MOST = 1000

Verdict = Literal["faster", "slower", "no difference", "too few runs"]


class Latency(msgspec.Struct, frozen=True):
    """The time of one call.

    Attributes:
        median_ms: Median.
        min_ms: The fastest run.
        iqr_ms: Interquartile range: how much the times vary.
        runs: How many runs it is of.
        p90_ms: 90th percentile; None with fewer than 64 runs.
        p99_ms: 99th percentile; None with fewer than 662 runs.
        low_ms: Lower end of the 95 % interval of the median; None with fewer than 8 runs.
        high_ms: Upper end, likewise.
    """

    median_ms: float
    min_ms: float
    iqr_ms: float
    runs: int
    p90_ms: float | None = None
    p99_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None

    def __str__(self) -> str:
        percentiles = [("p90", self.p90_ms), ("p99", self.p99_ms)]
        shown = "".join(f", {name} {value:.3g}" for name, value in percentiles if value is not None)
        return f"{self.median_ms:.3g} ms median{shown} ({self.runs} runs)"


class Ratio(msgspec.Struct, frozen=True):
    """How the times of one thing relate to those of another.

    Attributes:
        value: Median of the first over median of the second; below 1 the first is faster.
        low: Lower end of the 95 % interval; None with too few runs.
        high: Upper end, likewise.
        verdict: ``faster`` or ``slower`` (the first), ``no difference`` where the interval holds 1,
            or ``too few runs``.
    """

    value: float
    low: float | None
    high: float | None
    verdict: Verdict

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.3f} ({self.verdict})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.verdict})"


def summarize(samples_ns: Sequence[int]) -> Latency:
    """Returns the latency that raw times show.

    Args:
        samples_ns: One time for each run, in ns.

    Raises:
        InputError: There is none, or one is not positive and finite.
    """
    times = _checked(samples_ns) / 1e6
    low, middle, high = np.percentile(times, [25, 50, 75])
    ends = _interval(times) if len(times) >= MIN_PAIRS else (None, None)
    return Latency(
        median_ms=float(middle),
        min_ms=float(times.min()),
        iqr_ms=float(high - low),
        runs=len(times),
        p90_ms=float(np.percentile(times, 90)) if len(times) >= RUNS_FOR_P90 else None,
        p99_ms=float(np.percentile(times, 99)) if len(times) >= RUNS_FOR_P99 else None,
        low_ms=ends[0],
        high_ms=ends[1],
    )


def ratio(a_samples: Sequence[int], b_samples: Sequence[int], *, seed: int = 0) -> Ratio:
    """Returns how the times of A relate to those of B.

    Of equally many runs, the two of one round are kept together, as `interleave` gives them: what
    slows both down then cancels out. The interval comes from a circular block bootstrap (Politis
    and Romano, 1992), whose blocks keep times that follow each other together.

    Args:
        a_samples: Times of A in ns, in the order of the runs.
        b_samples: Times of B, likewise.
        seed: Of the resampling; the same samples and seed give the same interval.

    Raises:
        InputError: There is no time, or one is not positive and finite.
    """
    a, b = _checked(a_samples), _checked(b_samples)
    value = float(np.median(a) / np.median(b))
    if min(len(a), len(b)) < MIN_PAIRS:
        return Ratio(value, None, None, "too few runs")
    noise = np.random.default_rng(seed)
    picked = _blocks(noise, len(a))
    others = picked if len(a) == len(b) else _blocks(noise, len(b))
    ratios = np.median(a[picked], axis=1) / np.median(b[others], axis=1)
    low, high = (float(end) for end in np.percentile(ratios, [2.5, 97.5]))
    return Ratio(value, low, high, _verdict(low, high))


def ratio_of(a: Latency, b: Latency) -> Ratio:
    """Returns how A relates to B where both were measured on their own, at different times.

    The interval is as wide as those of A and B allow: nothing cancels out.
    """
    value = a.median_ms / b.median_ms
    if a.low_ms is None or a.high_ms is None or b.low_ms is None or b.high_ms is None:
        return Ratio(value, None, None, "too few runs")
    low, high = a.low_ms / b.high_ms, a.high_ms / b.low_ms
    return Ratio(value, low, high, _verdict(low, high))


def _verdict(low: float, high: float) -> Verdict:
    return "faster" if high < 1 else "slower" if low > 1 else "no difference"


def _interval(times: np.ndarray) -> tuple[float, float]:
    """Returns the 95 % interval of the median of ``times``, as `ratio` finds its own.

    The blocks are long, a twelfth of all: what slows a machine down lasts longer than a run. And
    `PROCESS` is added: the same program loaded again lies elsewhere in memory.
    """
    noise = np.random.default_rng(0)
    thin = times[:: -(-len(times) // _MOST)]
    medians = np.median(thin[_blocks(noise, len(thin), max(1, len(thin) // 12))], axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low) * (1 - PROCESS), float(high) * (1 + PROCESS)


def _blocks(noise: np.random.Generator, count: int, length: int = 0) -> np.ndarray:
    """Returns indices of shape (resamples, count): blocks that start anywhere and wrap around."""
    length = length or max(1, round(count ** (1 / 3)))
    starts = noise.integers(0, count, (_RESAMPLES, -(-count // length)))
    return (starts[..., None] + np.arange(length)).reshape(_RESAMPLES, -1)[:, :count] % count


def _checked(samples: Sequence[int]) -> np.ndarray:
    times = np.asarray(samples, np.float64).ravel()
    if not times.size or not np.isfinite(times).all() or times.min() <= 0:
        what = f"{times.size} times; at least one, and all positive, are needed"
        raise InputError(what, where="samples")
    return times
