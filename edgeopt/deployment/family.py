"""The further programs of a deployment: compiled and checked as the first one, and put beside it in the bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from edgeopt.bundles.family import Member
from edgeopt.deployment.finish import golden_samples
from edgeopt.errors import GateError
from edgeopt.gate.accuracy import Accuracy
from edgeopt.gate.parity import Parity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgeopt.data.dataset import Dataset
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.steps import Checked, Job
    from edgeopt.deployment.streams import StreamResult
    from edgeopt.ir import Program

__all__ = ["Further", "ProgramResult", "Relatives", "accepted", "gathered"]


class Relatives(Protocol):
    """What a deployment puts beside its first program."""

    @property
    def calibration(self) -> Sequence[tuple[Program, Dataset]]:
        """The first program in float at other shapes, with samples that its ranges must hold for too."""
        ...

    def further(self, job: Job, checked: Checked, baseline: Baseline) -> list[Further]:
        """Returns the further programs, compiled and checked."""
        ...

    def first(self, checked: Checked, further: Sequence[Further]) -> Member:
        """Returns method and state of the first program."""
        ...

    @property
    def states(self) -> Mapping[str, Any]:
        """State to the value that it begins with."""
        ...

    def streams(
        self, job: Job, checked: Checked, further: Sequence[Further]
    ) -> StreamResult | None:
        """Returns how far the bundle is off over many calls with its own state; None where it keeps none."""
        ...


class ProgramResult(msgspec.Struct, frozen=True):
    """What came of a further program of a bundle.

    Attributes:
        method: Its method.
        shapes: Of its inputs.
        pads: Axes along which smaller inputs may be filled up with zeros.
        checked_on: What it was checked on.
        parity: How near it is to the reference; None where it does not run here.
        accuracy: How near it is to the float model.
    """

    method: str
    shapes: tuple[tuple[int, ...], ...]
    pads: tuple[int, ...]
    checked_on: str
    parity: Parity | None
    accuracy: Accuracy | None

    def __str__(self) -> str:
        shapes = ", ".join("x".join(map(str, shape)) for shape in self.shapes)
        texts = [str(one) for one in (self.accuracy, self.parity) if one is not None]
        return f"{self.method} {shapes}: {'; '.join(texts) or 'not checked here'}"


@dataclass(frozen=True, eq=False)
class Further:
    """A further program, put through the gate.

    Attributes:
        checked: What was compiled, and what the gate says.
        baseline: What it was compared with.
        method: Its method.
        pads: Axes along which smaller inputs may be filled up with zeros.
        splits: Whether more rows may be computed in turns.
        reads: Input to the state that it is taken from.
        writes: Output to the state that it becomes.
    """

    checked: Checked
    baseline: Baseline
    method: str = "forward"
    pads: tuple[int, ...] = ()
    splits: bool = False
    reads: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)

    def result(self) -> ProgramResult:
        """Returns what a person should know of it."""
        gate, samples = self.checked.gate, self.baseline.samples
        shapes = tuple(spec.shape for spec in self.checked.build.program.signature.inputs)
        return ProgramResult(
            self.method, shapes, self.pads, samples.kind, gate.parity, gate.accuracy
        )

    def member(self) -> Member:
        """Returns what the bundle holds of it."""
        build, checks = self.checked.build, self.baseline.samples.checks
        golden = golden_samples(build.specified, checks, self.checked.gate)
        links = (self.method, self.reads, self.writes)
        return Member(build.artifact, golden, *links, self.pads, self.splits)


def gathered(further: Iterable[Further]) -> list[Further]:
    """Returns all of ``further``, made one after the other; where one fails, those before are released."""
    every: list[Further] = []
    try:
        for one in further:
            every.append(one)  # noqa: PERF402 (kept where a later one fails)
    except BaseException:
        for one in every:
            one.checked.build.close()
        raise
    return every


def accepted(checked: Checked, program: Program) -> Checked:
    """Returns a further program that falls short of nothing.

    Raises:
        GateError: It does; says of which shape, and why. It is released.
    """
    try:
        _require_accepted(checked, program)
    except GateError:
        checked.build.close()
        raise
    return checked


def _require_accepted(checked: Checked, program: Program) -> None:
    shapes = ", ".join(str(list(spec.shape)) for spec in program.signature.inputs)
    parity, accuracy = checked.gate.parity, checked.gate.accuracy
    if parity is not None and not parity.ok:
        what = f"the artefact does not compute what the program does: {'; '.join(parity.reasons)}"
        raise GateError(what, where=f"parity, inputs {shapes}", hint="leave that shape out")
    if accuracy is not None and not accuracy.ok:
        what = f"{accuracy}: {accuracy.failure}"
        hint = "calibrate on more data of that shape, or leave it out"
        raise GateError(what, where=f"inputs {shapes}", hint=hint)
