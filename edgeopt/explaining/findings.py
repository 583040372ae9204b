"""What an explanation is made of: findings, each with its evidence and what can be typed."""

from __future__ import annotations

from typing import Any, Literal, Self

import msgspec

from edgeopt.boundary import convert
from edgeopt.errors import EdgeoptError, InputError

__all__ = [
    "AttributionAgreement",
    "Basis",
    "Evidence",
    "Explanation",
    "Finding",
    "FindingKind",
    "Interval",
    "Remedy",
    "SampleDifference",
    "Score",
    "findings_of",
]

FindingKind = Literal["float", "speed", "loss", "input", "attribution"]
"""Why it is float, how fast it is and why, what loses most, which inputs differ, what is looked at."""

Basis = Literal["measured", "counted", "estimated", "described"]
"""Whether a number was measured, counted (from the program), estimated, or read from a descriptor."""


class Evidence(msgspec.Struct, frozen=True):
    """A number or a place that a finding rests on.

    Attributes:
        what: What it is of.
        value: The number, or a word.
        unit: Of the number; empty for none.
        place: ``file:line``, module or value that it is of; empty where it is of the whole.
        basis: Where the number comes from.
    """

    what: str
    value: float | str
    unit: str = ""
    place: str = ""
    basis: Basis = "counted"

    def __str__(self) -> str:
        number = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        at = f" at {self.place}" if self.place else ""
        return f"{self.what}{at}: {number}{f' {self.unit}' if self.unit else ''} ({self.basis})"


class Remedy(msgspec.Struct, frozen=True):
    """What to do.

    Attributes:
        what: In words, with what it costs or brings, where that is known.
        python: What to type in Python: arguments of `edgeopt.deploy`; empty where there is nothing to type.
        flags: What to type on the command line: flags of ``edgeopt deploy``; likewise.
    """

    what: str
    python: str = ""
    flags: str = ""

    def __str__(self) -> str:
        typed = self.flags or self.python
        return f"{self.what}: {typed}" if typed else self.what


class Finding(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
        kind: Which question it answers.
        title: The answer in one line.
        sentences: Why, the most important first.
        evidence: What it rests on.
        remedy: What to do, the most promising first.
        nodes: Names of the program's values that it is about.
    """

    kind: FindingKind
    title: str
    sentences: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    remedy: tuple[Remedy, ...] = ()
    nodes: tuple[str, ...] = ()


class Score(msgspec.Struct, frozen=True):
    """One number of an output.

    Attributes:
        name: The class's label, or the place in the output.
        value: The number.
    """

    name: str
    value: float


class SampleDifference(msgspec.Struct, frozen=True):
    """How far the compressed model is from float on one input.

    Attributes:
        index: Place of the input among those that were compared, from 0.
        snr_db: Signal-to-noise ratio of all outputs together, in dB.
        same_class: Whether the largest score is that of the same class; None where outputs are no scores.
        float_scores: The largest scores of the float model, or the values that differ most.
        scores: The compressed model's, of the same classes and its own largest.
        name: Of the input, such as a picture's file; empty where it has none.
        picture: File of the input as a picture; empty where none was written.
    """

    index: int
    snr_db: float
    same_class: bool | None
    float_scores: tuple[Score, ...]
    scores: tuple[Score, ...]
    name: str = ""
    picture: str = ""


class Interval(msgspec.Struct, frozen=True):
    """A mean over samples, with its 95 % interval (bootstrap over samples)."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class AttributionAgreement(msgspec.Struct, frozen=True):
    """Whether the compressed model looks at the same parts of an input as the float model.

    Attributes:
        step: What was done to the model: ``int8``, ``pruned``, …
        method: How attributions were computed, with its source.
        regions: How many parts an input has, each with one attribution.
        samples: How many inputs.
        rank_correlation: Spearman's, of the attributions of float and compressed; 1 is the same order.
        top_overlap: Share of the float model's most important regions that the compressed model names too.
        top: How many regions that are.
        floor: What the floor is of, in words.
        floor_rank_correlation: The same number for the float model and itself under what ``floor`` says.
        floor_top_overlap: Likewise.
        chance_rank_correlation: The same for attributions of two different inputs: what agreement by
            habit (the middle of a picture) amounts to; None for one input.
        pictures: Files with the maps side by side.
    """

    step: str
    method: str
    regions: int
    samples: int
    rank_correlation: Interval
    top_overlap: Interval
    top: int
    floor: str
    floor_rank_correlation: Interval
    floor_top_overlap: Interval
    chance_rank_correlation: float | None = None
    pictures: tuple[str, ...] = ()

    @property
    def within_floor(self) -> bool:
        """Whether the change is no greater than what the floor's change makes, as far as intervals tell."""
        return self.rank_correlation.high >= self.floor_rank_correlation.low


class Explanation(msgspec.Struct, frozen=True):
    """All answers for one model on one target.

    Attributes:
        target: Name of the target.
        backend: Name of the backend.
        precision: The precision that was explained.
        findings: The answers.
        worst_samples: The inputs that differ most from float, the worst first.
        attributions: What each step changed in what the model looks at.
        notes: What could not be answered, and what to pass so that it can.
    """

    target: str
    backend: str
    precision: str
    findings: tuple[Finding, ...] = ()
    worst_samples: tuple[SampleDifference, ...] = ()
    attributions: tuple[AttributionAgreement, ...] = ()
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: FindingKind) -> tuple[Finding, ...]:
        """Returns the answers to one question."""
        return tuple(one for one in self.findings if one.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain JSON-able values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Self:
        """Returns what `to_dict` made.

        Raises:
            InputError: It is something else.
        """
        return convert(plain, cls, where="explanation", error=InputError)

    def __str__(self) -> str:
        from edgeopt.explaining.text import explanation_text  # noqa: PLC0415 (imports this module)

        return explanation_text(self)


def findings_of(
    plain: Any, *, where: str, error: type[EdgeoptError] = InputError
) -> tuple[Finding, ...]:
    """Returns the findings that a bundle's report holds; none where it holds none.

    Args:
        plain: The report's ``findings``.
        where: The bundle, for the error.
        error: What is raised.

    Raises:
        EdgeoptError: They are no findings.
    """
    if plain is None:
        return ()
    return convert(plain, tuple[Finding, ...], where=where, error=error)
