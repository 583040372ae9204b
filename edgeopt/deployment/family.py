"""The further programs of a deployment: compiled and checked as the first one, and put beside it in the bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import torch

from edgeopt.bundles.family import Member
from edgeopt.data.binder import Binder
from edgeopt.deployment import steps
from edgeopt.deployment.baseline import Baseline
from edgeopt.deployment.finish import golden_samples
from edgeopt.deployment.shapes import (
    examples_of,
    padding_axes,
    require_fitting,
    rows_are_apart,
    samples_of,
)
from edgeopt.errors import GateError, InputError
from edgeopt.gate.accuracy import Accuracy
from edgeopt.gate.parity import Parity
from edgeopt.ir.reshaping import reshape_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgeopt.deployment.steps import Checked, Job
    from edgeopt.deployment.streams import StreamResult
    from edgeopt.ir import Program

__all__ = ["Further", "ProgramResult", "Relatives", "ShapeRelatives", "accepted", "gathered"]


class Relatives(Protocol):
    """What a deployment puts beside its first program."""

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


class ShapeRelatives:
    """The first program for further shapes."""

    states: Mapping[str, Any] = MappingProxyType({})

    def further(self, job: Job, checked: Checked, baseline: Baseline) -> list[Further]:
        """Returns the program for each further shape that was asked for."""
        return _further_shapes(job, checked, baseline)

    def first(self, checked: Checked, further: Sequence[Further]) -> Member:
        """Returns the first program as the bundle holds it."""
        if not further:
            return Member(checked.build.artifact)
        one = further[0]  # what holds for one shape holds for all
        return Member(checked.build.artifact, pads=one.pads, splits=one.splits)

    def streams(self, *_: Any) -> None:
        """Returns None: there is no state."""


def _further_shapes(job: Job, checked: Checked, baseline: Baseline) -> list[Further]:
    """Returns the first program for each further shape that was asked for, with its weights and grids.

    Raises:
        InputError: The model is no module, or its inputs have no such axis.
        CaptureError: The model is another network at a shape.
        GateError: A program falls short of what was asked for; names its shape.
    """
    shapes = job.request.shapes
    if not shapes.are_any:
        return []
    if baseline.module is None or job.program.digest != baseline.program.digest:
        raise InputError(
            "further shapes need the module itself, to capture it at each",
            where="shapes",
            hint="pass the torch.nn.Module, without a recipe",
        )
    examples = _examples(job, baseline.module)
    programs = [steps.as_program(baseline.module, example) for example in examples]
    data = job.request.calibration_data
    if data is not None:
        limit = len(baseline.samples.calibration) + job.request.checks.samples
        require_fitting(data, [job.program, *programs], limit=limit)
    baselines = [_baseline(job, baseline, *pair) for pair in zip(programs, examples, strict=True)]
    firsts = [one.samples.checks for one in (baseline, *baselines) if one.samples.checks]
    every = [job.program, *programs]
    is_known = len(firsts) == len(every)
    pads = padding_axes(every, firsts) if is_known else ()
    splits = is_known and rows_are_apart(every, firsts)
    return gathered(
        Further(_checked(job, checked, program, own), own, pads=pads, splits=splits)
        for program, own in zip(programs, baselines, strict=True)
    )


def _examples(job: Job, module: torch.nn.Module) -> list[Any]:
    """Returns example inputs of each further shape; the first one's own is left out."""
    binder = Binder.of_program(job.program, module)
    tensors = [
        torch.zeros(s.shape, dtype=getattr(torch, s.dtype)) for s in job.program.signature.inputs
    ]
    first = job.request.example_inputs
    example = binder.call(tensors)[0] if first is None else first
    loose = Binder(binder.signature, binder.structure, fixed=False)
    known, examples = {tuple(spec.shape for spec in binder.signature.inputs)}, []
    for one in examples_of(job.request.shapes, binder, example):
        shape = tuple(tuple(tensor.shape) for tensor in loose.bind(one))
        if shape not in known:
            known.add(shape)
            examples.append(one)
    return examples


def _baseline(job: Job, first: Baseline, program: Program, example: Any) -> Baseline:
    data = job.request.calibration_data  # can be read again: the plan has seen to that
    limit = job.request.checks.samples
    samples = samples_of(program, example, first.samples, data, limit=limit)
    return Baseline(first.model, program, samples)


def _checked(job: Job, first: Checked, program: Program, baseline: Baseline) -> Checked:
    """Returns the first program for the shape of ``program``, compiled and through the gate.

    Raises:
        GateError: It falls short.
    """
    compressed = reshape_program(first.candidate.program, job.program, program)
    candidate = steps.Candidate(compressed, first.candidate.precision, first.candidate.settings)
    request = job.request.replace(
        evaluate=None, max_drop=job.request.max_drop if job.request.evaluate is None else None
    )
    own = steps.Job(request, job.plan, job.target, job.backend, program)
    return accepted(steps.check(own, candidate, steps.compile(own, candidate), baseline), program)


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
        hint = (
            "ranges come from the first shape's data: make the example one whose values are wider"
        )
        raise GateError(what, where=f"inputs {shapes}", hint=hint)
