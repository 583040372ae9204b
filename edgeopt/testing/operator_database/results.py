"""What is said of a case: which stage is tried next, and what became of it."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["CAPTURE", "SAMPLES", "Attempt", "Done", "Outcome", "Place", "Plan", "Result"]

Outcome = Literal["right", "refused", "wrong", "error"]

CAPTURE = "capture"
"""Stands where a backend's name does, for what befalls a model before a backend sees it."""
SAMPLES = "samples"
"""Stands there for what torch's own generator of samples does."""


class Place(msgspec.Struct, frozen=True):
    """Where a case can fail.

    Attributes:
        operator: The operator's name.
        sample: Which sample.
        backend: A backend, `CAPTURE` or `SAMPLES`.
        precision: Which precision.
    """

    operator: str
    sample: str = ""
    backend: str = SAMPLES
    precision: str = ""

    def result(self, outcome: Outcome, detail: str = "", seconds: float = 0.0) -> Result:
        """Returns what became of a case here."""
        names = self.operator, self.sample, self.backend, self.precision
        return Result(*names, outcome, detail, seconds)


class Attempt(msgspec.Struct, frozen=True, tag=True):
    """What is done next, in one: what it does not survive befalls these places."""

    places: tuple[Place, ...]


class Result(msgspec.Struct, frozen=True, tag=True):
    """What became of a case.

    Attributes:
        operator: The operator's name.
        sample: Which sample.
        backend: A backend, `CAPTURE` or `SAMPLES`.
        precision: Which precision.
        outcome: ``right``; ``refused`` by an error of edgeopt's; ``wrong``; ``error``, raised by
            something else, or a crash.
        detail: What was said, or how wrong.
        seconds: What it took.
    """

    operator: str
    sample: str
    backend: str
    precision: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0

    @property
    def place(self) -> Place:
        """Where it was."""
        return Place(self.operator, self.sample, self.backend, self.precision)


class Plan(msgspec.Struct, frozen=True):
    """How much of an operator is examined."""

    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    samples: int

    def within(self, other: Plan) -> bool:
        """Returns whether ``other`` examines all of it."""
        same = set(self.backends) <= set(other.backends)
        return (
            same and set(self.precisions) <= set(other.precisions) and self.samples <= other.samples
        )


class Done(msgspec.Struct, frozen=True, tag=True):
    """A worker is through with an operator."""

    operator: str
    plan: Plan
