"""What was asked for, which trials keep within it, and which of these is best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.searching.trials import Measured, Trial

__all__ = ["LIMITS", "Budget", "best_of", "nearest_to", "pareto_front"]

_MB = 1e6
_KIB = 1024
_ROOM = 1e-12


LIMITS = ("max_drop", "max_latency_ms", "max_size_mb", "max_flash_kb", "max_ram_kb")
"""What a budget may limit: fields of a `Budget`, and options of `edgeopt.search`."""


class Budget(msgspec.Struct, frozen=True):
    """What a result must keep to, and what is best within.

    Attributes:
        float_score: The float model's score.
        max_drop: How far the score may fall below it; None for any.
        max_latency_ms: Longest median of a call on the device; None for any.
        max_size_mb: Largest model, in millions of bytes; None for any.
        max_flash_kb: Most flash on a microcontroller, in KiB; None for what it has.
        max_ram_kb: Most RAM there, in KiB; None for what it has.
        prefer: What decides within the budget: ``score``, ``latency`` or ``size``.
        timed: Whether latencies are measured.
    """

    float_score: float
    max_drop: float | None = None
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    max_flash_kb: float | None = None
    max_ram_kb: float | None = None
    prefer: str = "score"
    timed: bool = True

    def excess(self, one: Measured) -> dict[str, float]:
        """Returns by how much ``one`` exceeds each limit, relative to the limit; 0 where it does not.

        Of the score it is relative to ``max_drop``, or a hundredth of the float model's score where
        that is more.
        """
        overruns: dict[str, float] = {}
        if self.max_drop is not None:
            beyond = self.float_score - one.score - self.max_drop
            overruns["max_drop"] = beyond / max(self.max_drop, 0.01 * abs(self.float_score), 1e-9)
        if self.max_latency_ms is not None and one.latency_ms is not None:
            overruns["max_latency_ms"] = one.latency_ms / self.max_latency_ms - 1
        if self.max_size_mb is not None:
            overruns["max_size_mb"] = one.size_bytes / _MB / self.max_size_mb - 1
        if self.max_flash_kb is not None and one.flash_bytes is not None:
            overruns["max_flash_kb"] = one.flash_bytes / _KIB / self.max_flash_kb - 1
        if self.max_ram_kb is not None and one.ram_bytes is not None:
            overruns["max_ram_kb"] = one.ram_bytes / _KIB / self.max_ram_kb - 1
        return {name: value if value > _ROOM else 0.0 for name, value in overruns.items()}

    def within(self, one: Measured) -> bool:
        """Returns whether ``one`` keeps to every limit."""
        return not any(self.excess(one).values())

    def __str__(self) -> str:
        limits = [
            f"{name} {value:g}" for name in LIMITS if (value := getattr(self, name)) is not None
        ]
        return f"{', '.join(limits) or 'no limit'}; within it, the best {self.prefer}"


def objectives(one: Measured) -> tuple[float, ...]:
    """Returns what is to be small: minus the score, the latency where there is one, and the size."""
    times = () if one.latency_ms is None else (one.latency_ms,)
    return (-one.score, *times, float(one.size_bytes))


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Returns the trials that no other one beats in everything, the best score first.

    Of trials that measured the same, the first is taken.
    """
    candidates = [(t, objectives(t.measured)) for t in trials if t.measured is not None]
    front: dict[tuple[float, ...], Trial] = {}
    for trial, mine in candidates:
        beaten = any(
            other != mine and all(a <= b for a, b in zip(other, mine, strict=True))
            for _, other in candidates
        )
        if not beaten:
            front.setdefault(mine, trial)
    return [front[key] for key in sorted(front)]


def best_of(trials: Sequence[Trial], budget: Budget) -> Trial | None:
    """Returns the best trial within the budget, None where no trial is."""
    candidates = [t for t in trials if t.measured is not None and budget.within(t.measured)]
    return min(candidates, key=lambda t: _rank(t.measured, budget.prefer), default=None)


def _rank(one: Any, prefer: str) -> tuple[float, ...]:
    latency = math.inf if one.latency_ms is None else one.latency_ms
    parts = {"score": -one.score, "latency": latency, "size": float(one.size_bytes)}
    rest = [parts[name] for name in ("latency", "score", "size") if name != prefer]
    return (parts[prefer], *rest)


def nearest_to(trials: Sequence[Trial], budget: Budget) -> Trial | None:
    """Returns the trial that exceeds the budget least, relative to its limits."""
    candidates = [t for t in trials if t.measured is not None]
    return min(candidates, key=lambda t: sum(budget.excess(t.measured).values()), default=None)  # type: ignore[arg-type]
