"""Puts one build through the gate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
import torch

from edgeopt.errors import EdgeoptError
from edgeopt.gate.accuracy import Accuracy, check_accuracy, check_agreement, score
from edgeopt.gate.calling import as_model, float_model
from edgeopt.gate.diagnose import slow_reasons
from edgeopt.gate.parity import Parity, check_parity, run_all
from edgeopt.gate.speed import Speed, check_speed
from edgeopt.ir import Editor, ReferenceRunner
from edgeopt.registry import detect_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from edgeopt.contracts import Backend, Target
    from edgeopt.deployment.build import Build
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.samples import Samples
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = ["FloatSide", "Verdict", "judge", "measure_speed"]


@dataclass
class FloatSide:
    """The float model, asked once however many builds are compared with it.

    Attributes:
        model: What the user passed: a module, an ExportedProgram, or a Program.
        program: The float program; of a quantized one its own weights, without any rounding.
        request: What was asked for.
        samples: The inputs to compare on.
        given: The quantized program, where the user passed one or a recipe made one: it is deployed
            as it is.
        compressed: What a recipe has made of the model, None where there was none. It is deployed
            in the model's place, and compared with the model.
    """

    model: Any
    program: Program
    request: Request
    samples: Samples
    _outputs: list[Arrays] | None = field(default=None, repr=False)
    _score: float | None = field(default=None, repr=False)
    _programs: dict[str, Program] = field(default_factory=dict, repr=False)
    given: Program | None = field(default=None, init=False, repr=False)
    compressed: Program | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.subject.precision != "float32":
            self.given = self.subject
        if self.program.precision != "float32":
            self.program = _without_grids(self.program)

    @property
    def subject(self) -> Program:
        """The program to deploy: what a recipe made of the model, else the model's own."""
        return self.compressed or self.given or self.program

    def outputs(self) -> list[Arrays]:
        """Returns the float program's outputs for the samples."""
        if self._outputs is None:
            runner = ReferenceRunner(self.program)
            progress = self.request.progress
            self._outputs = run_all(runner, self.samples.checks, stage="float", progress=progress)
        return self._outputs

    def quantized(self, settings: Mapping[str, Any], make: Callable[[], Program]) -> Program:
        """Returns what ``make`` makes with ``settings``: once, however many backends compile it."""
        if self.given is not None:
            return self.given
        key = repr(sorted(settings.items()))
        if key not in self._programs:
            self._programs[key] = make()
        return self._programs[key]

    def forget(self) -> None:
        """Lets go of the programs that `quantized` made."""
        self._programs.clear()

    def with_compressed(self, program: Program) -> FloatSide:
        """Returns a side that deploys ``program`` in the model's place, and asks float no more."""
        self.outputs()
        if self.request.evaluate is not None:
            self.score()
        return replace(self, compressed=program, _programs={})

    def score(self) -> float:
        """Returns the score of the float model itself, by the user's ``evaluate``."""
        if self._score is None:
            if isinstance(self.model, torch.nn.Module):
                function = float_model(self.model)
            else:
                function = as_model(ReferenceRunner(self.program), self.program)
            self.request.progress("evaluate float", 0, 1)
            self._score = score(self.request.evaluate, function)  # type: ignore[arg-type]
            self.request.progress("evaluate float", 1, 1)
        return self._score


def _without_grids(program: Program) -> Program:
    editor = Editor(program)
    editor.quant.clear()
    return editor.finish(precision="float32")


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one build.

    Attributes:
        parity: Against the reference; None where there were no inputs or it does not run here.
        accuracy: Against float, likewise.
        reference: The reference's outputs for the samples.
    """

    parity: Parity | None
    accuracy: Accuracy | None
    reference: list[Arrays]

    @property
    def accurate(self) -> bool:
        """Whether the drop is within what was asked."""
        return self.accuracy is None or self.accuracy.ok


def judge(build: Build, side: FloatSide, backend: Backend) -> Verdict:
    """Returns parity and accuracy of ``build``."""
    request, samples = side.request, side.samples
    simulation = ReferenceRunner(build.lowered)
    reference = run_all(simulation, samples.checks, stage="reference", progress=request.progress)
    runner = build.runner or simulation
    parity = None
    got = reference
    if build.runner is not None and samples.checks:
        parity = check_parity(
            _Recorded(runner, got := []),
            build.lowered,
            samples.checks,
            reference,
            inputs=samples.kind,
            where=f"{backend.name} on this machine",
            limits=request.parity,
            progress=request.progress,
        )
    return Verdict(parity, _accuracy(build, side, runner, got), reference)


class _Recorded:
    """A runner that keeps its outputs, so that no sample runs twice."""

    def __init__(self, runner: Any, kept: list[Arrays]) -> None:
        self._runner = runner
        self._kept = kept

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        result = self._runner(*inputs)
        self._kept.append(result if isinstance(result, tuple) else (result,))
        return result  # type: ignore[no-any-return]

    def facts(self) -> dict[str, Any]:
        return self._runner.facts()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Leaves the runner open: it belongs to the build."""


def _accuracy(build: Build, side: FloatSide, runner: Any, got: list[Arrays]) -> Accuracy | None:
    request, samples = side.request, side.samples
    agreement = None
    if samples.checks:
        agreement = check_agreement(
            side.program.signature,
            side.outputs(),
            got,
            max_drop=request.max_drop if request.evaluate is None else None,
            inputs=samples.kind,
        )
    if request.evaluate is None:
        return agreement
    module = side.model if isinstance(side.model, torch.nn.Module) else None
    function = as_model(runner, build.program, module)
    float_value = side.score()
    request.progress("evaluate", 0, 1)
    return check_accuracy(
        request.evaluate,
        function,
        float_value=float_value,
        max_drop=request.max_drop,
        agreement=agreement,
    )


def measure_speed(
    build: Build, side: FloatSide, backend: Backend, target: Target
) -> tuple[Speed | None, str]:
    """Returns the speed beside float, or None and why it could not be measured."""
    from edgeopt.deployment.build import build as build_float  # noqa: PLC0415 (imports this module)

    request, samples = side.request, side.samples
    if getattr(backend, "simulates", False):
        return None, ""  # it has no speed of its own
    why_not = _not_measurable(build, side, backend, target)
    if build.runner is None or why_not:
        return None, why_not
    try:
        other = build_float(
            side.program,
            target,
            backend,
            options=request.compile_options,
            progress=request.progress,
        )
    except EdgeoptError as error:
        return None, f"the float32 artefact could not be made: {error.what}"
    if other.runner is None:
        return None, other.not_here
    host = detect_host()
    try:
        speed = check_speed(
            build.runner,
            other.runner,
            samples.checks[0],
            precision=build.artifact.precision,
            threads=request.threads,
            machine=host.cpu.model,
            on_target=target.name == host.name,
        )
    finally:
        other.close()
    if request.tuning is not None:
        unequal = "kernels were tuned for this precision, not for float32"
        speed = msgspec.structs.replace(speed, unequal=unequal)
    if speed.ok:
        return speed, ""
    median_ms = speed.float_latency.median_ms
    reasons = slow_reasons(host, build.support, build.artifact.operators, median_ms)
    return msgspec.structs.replace(speed, reasons=reasons), ""


def _not_measurable(build: Build, side: FloatSide, backend: Backend, target: Target) -> str:
    if build.runner is None or not side.samples.checks:
        return build.not_here or "there is no input to run"
    if "float32" not in backend.precisions(target):
        return f"{backend.name} does not compile float32 for {target.name}"
    return ""
