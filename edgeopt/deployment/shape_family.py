"""The first program for further shapes: captured and given its data before anything is quantized."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.bundles.family import Member
from edgeopt.data.binder import Binder
from edgeopt.deployment import steps
from edgeopt.deployment.baseline import Baseline
from edgeopt.deployment.family import Further, accepted, gathered
from edgeopt.deployment.shape_data import DataByShape
from edgeopt.deployment.shapes import examples_of, padding_axes, rows_are_apart
from edgeopt.errors import InputError
from edgeopt.ir.memory import peak_value_bytes
from edgeopt.ir.reshaping import reshape_program
from edgeopt.options import QuantizationConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgeopt.data.dataset import Dataset
    from edgeopt.deployment.steps import Checked, Job
    from edgeopt.ir import Program

    Capture = Callable[[torch.nn.Module, Any], Program]

__all__ = ["ShapeRelatives", "captured_once", "shape_relatives"]


@dataclass(frozen=True, eq=False)
class _ShapeProgram:
    """The model at a further shape.

    Attributes:
        program: What is deployed, in float.
        baseline: What it is compared with there, on samples of that shape.
    """

    program: Program
    baseline: Baseline


@dataclass(frozen=True, eq=False)
class ShapeRelatives:
    """The first program for further shapes.

    Attributes:
        original: The first program in float, as it was captured.
        shapes: The model at each further shape.
    """

    original: Program
    shapes: Sequence[_ShapeProgram] = ()

    @property
    def states(self) -> Mapping[str, Any]:
        """None: a program for several shapes keeps nothing."""
        return MappingProxyType({})

    @property
    def calibration(self) -> Sequence[tuple[Program, Dataset]]:
        """Each shape with the data that is its alone; where there is none, with constants made for it."""
        return [(one.program, one.baseline.samples.calibration) for one in self.shapes]

    def further(self, job: Job, checked: Checked, baseline: Baseline) -> list[Further]:
        """Returns the program for each further shape, with the first one's weights and grids.

        Raises:
            CaptureError: The model is another network at a shape.
            GateError: A program falls short of what was asked for; names its shape.
        """
        baselines = [baseline, *(one.baseline for one in self.shapes)]
        samples = [one.samples.checks for one in baselines if one.samples.checks]
        every = [self.original, *(one.program for one in self.shapes)]
        is_known = len(samples) == len(every) > 1
        pads = padding_axes(every, samples) if is_known else ()
        splits = is_known and rows_are_apart(every, samples)
        return gathered(
            Further(self._checked(job, checked, one), one.baseline, pads=pads, splits=splits)
            for one in self.shapes
        )

    def _checked(self, job: Job, first: Checked, one: _ShapeProgram) -> Checked:
        """Returns the first program for another shape, compiled and through the gate."""
        compressed = reshape_program(first.candidate.program, self.original, one.program)
        candidate = steps.Candidate(compressed, first.candidate.precision, first.candidate.settings)
        request = job.request.replace(
            evaluate=None, max_drop=job.request.max_drop if job.request.evaluate is None else None
        )
        own = steps.Job(request, job.plan, job.target, job.backend, one.program)
        build = steps.compile(own, candidate)
        return accepted(steps.check(own, candidate, build, one.baseline), one.program)

    def first(self, checked: Checked, further: Sequence[Further]) -> Member:
        """Returns the first program as the bundle holds it."""
        if not further:
            return Member(checked.build.artifact)
        one = further[0]  # what holds for one shape holds for all
        return Member(checked.build.artifact, pads=one.pads, splits=one.splits)

    def streams(self, *_: Any) -> None:
        """Returns None: there is no state."""


def captured_once() -> Capture:
    """Returns a function that captures a module when it is first asked to at a shape, as long as its weights stay."""
    known: dict[
        Any, tuple[torch.nn.Module, Program]
    ] = {}  # with the module, so that its id stays its own

    def capture(module: torch.nn.Module, example: Any) -> Program:
        tensors = [*module.parameters(), *module.buffers()]
        weights = tuple((id(tensor), tensor._version) for tensor in tensors)  # noqa: SLF001 (has no other name)
        key = (id(module), weights, tuple(map(_kind, pytree.tree_leaves(example))))
        if key not in known:
            known[key] = (module, steps.as_program(module, example))
        return known[key][1]

    return capture


def _kind(leaf: Any) -> Any:
    """Returns what a capture depends on of an input."""
    return (leaf.shape, leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf


def shape_relatives(
    job: Job,
    baseline: Baseline,
    module: torch.nn.Module | None = None,
    capture: Capture = steps.as_program,
) -> ShapeRelatives:
    """Returns the further shapes that ``job`` asks for, captured, each with its data.

    Args:
        job: The deployment.
        baseline: Of the first shape: the model as it was given.
        module: What is deployed, where a recipe has made it of the model; None for the model itself.
        capture: Captures a module.

    Raises:
        CaptureError: The model is another network at a shape.
        InputError: The model is no module, or its inputs have no such axis.
        CalibrationError: An item of the data is of none of the shapes.
    """
    shapes = job.request.shapes
    if not shapes.are_any:
        return ShapeRelatives(job.program)
    deployed = module or baseline.module
    if deployed is None or baseline.module is None:
        raise InputError(
            "further shapes need the module itself, to capture it at each",
            where="shapes",
            hint="pass the torch.nn.Module; of a recipe that works on a Program, deploy one shape at a time",
        )
    examples = _examples(job, baseline.module)
    original = job.program if module is None else capture(module, _example(job, module))
    programs = [_alike(original, capture(deployed, example)) for example in examples]
    plain = programs
    if module is not None:
        captured = [capture(baseline.module, example) for example in examples]
        plain = [_alike(baseline.program, one) for one in captured]
    data = _data(job, [job.program, *programs])
    known = [baseline.samples]
    entries: dict[int, _ShapeProgram] = {}
    for place in data.order[1:]:
        known.append(data.samples(place, examples[place - 1], known))
        own = Baseline(baseline.model, plain[place - 1], known[-1])
        entries[place] = _ShapeProgram(programs[place - 1], own)
    return ShapeRelatives(original, [entries[place] for place in sorted(entries)])


def _alike(original: Program, other: Program) -> Program:
    """Returns ``other`` with the names and the order of ``original``: values are compared by name later."""
    return reshape_program(original, original, other)


def _data(job: Job, programs: Sequence[Program]) -> DataByShape:
    request = job.request
    config = QuantizationConfig.from_dict(job.plan.quantization)
    return DataByShape(
        request.calibration_data,  # can be read again: the plan has seen to that
        programs,
        calibrate=config.max_samples,
        check=request.checks.samples,
    )


def _example(job: Job, module: torch.nn.Module) -> Any:
    """Returns example inputs of the first shape."""
    first = job.request.example_inputs
    if first is not None:
        return first
    binder = Binder.of_program(job.program, module)
    return binder.call(
        [torch.zeros(s.shape, dtype=getattr(torch, s.dtype)) for s in binder.signature.inputs]
    )[0]


def _examples(job: Job, module: torch.nn.Module) -> list[Any]:
    """Returns example inputs of each further shape; the first one's own is left out."""
    binder = Binder.of_program(job.program, module)
    loose = Binder(binder.signature, binder.structure, fixed=False)
    known, examples = {tuple(spec.shape for spec in binder.signature.inputs)}, []
    peak_bytes = peak_value_bytes(job.program)
    for one in examples_of(job.request.shapes, binder, _example(job, module), peak_bytes):
        shape = tuple(tuple(tensor.shape) for tensor in loose.bind(one))
        if shape not in known:
            known.add(shape)
            examples.append(one)
    return examples
