"""What a report holds, before anybody decides how it looks. The page is a view of this, and of nothing else."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Figure",
    "Finding",
    "Layer",
    "Memory",
    "Moment",
    "OperatorShare",
    "Point",
    "Report",
    "State",
    "Trial",
]

State = Literal["good", "warning", "bad", "unknown"]


class Figure(msgspec.Struct, frozen=True):
    """One of the figures that a deployment is judged by.

    Attributes:
        title: What it is of.
        value: The figure, for people.
        interval: Its 95 % interval, or how far it was compared; empty where there is none.
        source: Where and how it was measured.
        state: What is to be thought of it.
    """

    title: str
    value: str
    interval: str = ""
    source: str = ""
    state: State = "unknown"


class Finding(msgspec.Struct, frozen=True):
    """Why something is slow, large or wrong, and what to do.

    Attributes:
        title: In a few words.
        sentence: What is the matter.
        evidence: The figures that show it; one line each.
        remedy: What to do; one line each.
    """

    title: str
    sentence: str
    evidence: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()


class Layer(msgspec.Struct, frozen=True):
    """One call of the program, and the value that it makes.

    Attributes:
        value: Name of the call.
        makes: Name of its value: that of an activation which its kernel applies.
        operator: The ATen operator.
        module: Path of the module in the model.
        source: ``file:line`` of the model's code.
        kind: ``integer``, ``float``, ``moves`` or ``folded``.
        reason: Why it is float.
        macs: Multiply-adds of a call.
        bytes: What it reads and writes at least.
        shape: Shape of its value.
        inputs: Places of the layers that it reads, in the report's list.
        time_ms: Of one call, where operators were timed.
        snr_db: Signal-to-noise ratio of the value against float.
        low: The smallest element in float.
        high: The largest.
        storage: What the value is stored in; empty for float.
        grid_low: Below it is clipped.
        grid_high: Above it is clipped.
        scale: Step of the grid.
        zero_point: The integer that stands for 0.
        method: How the range was found.
        clipped: Share of the elements beyond the grid.
        histogram: A letter a bin (`edgeopt.gate.value_statistics.LEVELS`).
        bin_low: Where the first bin begins.
        bin_high: Where the last one ends.
    """

    value: str
    makes: str
    operator: str
    module: str
    source: str
    kind: str
    reason: str
    macs: int
    bytes: int
    shape: tuple[int, ...]
    inputs: tuple[int, ...] = ()
    time_ms: float | None = None
    snr_db: float | None = None
    low: float | None = None
    high: float | None = None
    storage: str = ""
    grid_low: float | None = None
    grid_high: float | None = None
    scale: float | None = None
    zero_point: int | None = None
    method: str = ""
    clipped: float = 0.0
    histogram: str = ""
    bin_low: float = 0.0
    bin_high: float = 0.0


class OperatorShare(msgspec.Struct, frozen=True):
    """What one operator of the runtime takes, or where nobody timed it, how much work it is.

    Attributes:
        name: How the runtime calls it.
        module: Path of the module that it comes from.
        source: ``file:line`` of the model's code.
        kind: What it runs as.
        amount: Milliseconds, cycles, or multiply-adds: see the report's ``unit``.
        low: The least of several measurements; None where it was counted.
        high: The greatest.
    """

    name: str
    module: str
    source: str
    kind: str
    amount: float
    low: float | None = None
    high: float | None = None


class Moment(msgspec.Struct, frozen=True):
    """Memory while one operator runs: its name, and the bytes that must be kept."""

    operator: str
    size_bytes: int
    largest: str = ""


class Memory(msgspec.Struct, frozen=True):
    """Memory over time.

    Attributes:
        moments: In the order of execution.
        limit_bytes: What there is; None where nobody limits it.
        source: Who says it: the backend's plan, or the program's order.
        notes: For people.
    """

    moments: tuple[Moment, ...]
    limit_bytes: int | None
    source: str
    notes: tuple[str, ...] = ()


class Trial(msgspec.Struct, frozen=True):
    """Something that was tried.

    Attributes:
        what: The precision, the backend, the configuration.
        settings: What was set, for people.
        outcome: What came of it.
        taken: Whether it is what was deployed.
    """

    what: str
    settings: str
    outcome: str
    taken: bool


class Point(msgspec.Struct, frozen=True):
    """A point of a curve: of a search (score over latency and size), or of the history (latency over time)."""

    label: str
    score: float | None = None
    latency_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    size_bytes: int | None = None
    unix_s: int | None = None
    front: bool = False
    best: bool = False
    series: str = ""


class Report(msgspec.Struct, frozen=True):
    """Everything that a report tells of one deployment.

    Attributes:
        title: How the bundle is called.
        subtitle: Target, backend, precision.
        state: Of the whole.
        verdict: In one sentence.
        figures: What it is judged by.
        findings: Why it is slow, large or wrong, and what to do.
        warnings: What a person should know.
        layers: Every call of the program, in its order.
        operators: What each operator of the runtime takes.
        unit: Of that: ``ms``, ``cycles``, ``instructions`` or ``multiply-adds``.
        operators_source: Where and how it was measured.
        memory: Memory over time; None where it is not known.
        trials: What was tried before, in order.
        steps: What was done to the program, in order: name and what came of it.
        search: Every trial of a search, where one was given.
        history: Measurements before, where there are any.
        facts: Name to value, for who wants to know exactly.
    """

    title: str
    subtitle: str
    state: State
    verdict: str
    figures: tuple[Figure, ...] = ()
    findings: tuple[Finding, ...] = ()
    warnings: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    operators: tuple[OperatorShare, ...] = ()
    unit: str = "ms"
    operators_source: str = ""
    memory: Memory | None = None
    trials: tuple[Trial, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    search: tuple[Point, ...] = ()
    history: tuple[Point, ...] = ()
    facts: dict[str, str] = {}

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it as plain JSON types."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain
