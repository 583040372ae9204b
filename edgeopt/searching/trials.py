"""What came of each trial."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from edgeopt.searching.configuration import Configuration

__all__ = ["Measured", "SearchEvent", "Trial", "Watch"]


class Measured(msgspec.Struct, frozen=True):
    """What was measured of one configuration.

    Attributes:
        score: By the user's ``evaluate``; without one the share of samples that name the same class
            as the float model.
        size_bytes: Size of the model as the backend compiled it.
        latency_ms: Median of one call on the device; None where none can be measured.
        low_ms: Lower end of the 95 % interval of that median.
        high_ms: Upper end.
        program: Digest of the compressed program.
        seconds: How long the trial took.
        same_as: The trial that made the same program before, whose figures these are.
        flash_bytes: What it takes of a microcontroller's flash; None where that is not known.
        ram_bytes: What it takes of its RAM.
    """

    score: float
    size_bytes: int
    latency_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    program: str = ""
    seconds: float = 0.0
    same_as: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None


class Trial(msgspec.Struct, frozen=True):
    """One configuration that was tried.

    Attributes:
        number: Its number in the study.
        configuration: What was tried.
        measured: What was measured; None where it failed.
        reason: Why it failed; empty where it did not.
        new: Whether this run tried it; False where it was in the study already.
    """

    number: int
    configuration: Configuration
    measured: Measured | None = None
    reason: str = ""
    new: bool = False

    @property
    def state(self) -> Literal["done", "failed"]:
        """Whether something was measured."""
        return "failed" if self.measured is None else "done"


class SearchEvent(msgspec.Struct, frozen=True):
    """What a search has come to after one more trial.

    Attributes:
        done: Trials that the study holds.
        trials: Trials that it shall hold; 0 where only time limits it.
        last: The trial made last.
        best: The best so far within the budget, None while there is none.
        left_s: Estimate of the time left, in seconds.
        failed: How many trials failed.
    """

    done: int
    trials: int
    last: Trial
    best: Trial | None
    left_s: float
    failed: int = 0


class Watch(Protocol):
    """Who looks on."""

    def __call__(self, event: SearchEvent) -> None:
        """Is told after each trial."""
        ...
