"""From a model to a checked bundle: resolve, capture, compress, compile, check, write, measure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgeopt.deployment.attempts import HARM_SAMPLES, HARM_TRIES, ways_out
from edgeopt.deployment.auto import deploy_auto
from edgeopt.deployment.build import Build, build, make_config, quantized
from edgeopt.deployment.choose import choose_backend
from edgeopt.deployment.finish import finish
from edgeopt.deployment.gates import FloatSide, Verdict, judge, measure_speed
from edgeopt.deployment.on_device import opened
from edgeopt.deployment.plan import Plan, make_plan
from edgeopt.deployment.request import silent
from edgeopt.deployment.result import Attempt, Deployment
from edgeopt.deployment.samples import collect_samples
from edgeopt.deployment.tune import tuned, with_tuning_backend
from edgeopt.deployment.warn import collect_warnings
from edgeopt.errors import GateError, InputError
from edgeopt.gate.diagnose import SHOWN, diagnose
from edgeopt.gate.harm import harmful_values
from edgeopt.gate.metrics import class_axis
from edgeopt.ir import Program, capture_module
from edgeopt.passes import run_core
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edgeopt.contracts import Backend, Target, TuningReport
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.samples import Samples
    from edgeopt.gate.diagnose import Diagnosis
    from edgeopt.gate.harm import Harm

__all__ = [
    "as_program",
    "calibration_of",
    "carry_out",
    "harms_of",
    "plan_deployment",
    "run_deployment",
]


def plan_deployment(
    model: Any, target: str | Path | Target, request: Request
) -> tuple[Plan, Program | None]:
    """Returns the plan for ``model``, and its program; without a model, only the plan.

    Raises:
        InputError: An option is wrong, or the model or its inputs cannot be used.
        TargetError: There is no such target.
        PluginError: No backend for it is installed.
        UnsupportedError: No backend runs the model; carries the report.
    """
    request.check()
    found = find_target(target)
    request = with_tuning_backend(request, found)
    # Before the model is captured, which can take a while:
    _check_device(found, request)
    choose_backend(found, backend=request.backend, precision=request.precision)
    program = None if model is None else as_program(model, request.example_inputs)
    if program is not None:
        _check_max_drop(program, request)
    return make_plan(found, request, program), program


def run_deployment(model: Any, target: str | Path | Target, request: Request) -> Deployment:
    """Returns what came of deploying ``model``; `edgeopt.deploy` documents the arguments.

    Raises:
        EdgeoptError: What `plan_deployment` raises.
        CalibrationError: The calibration data is empty, not finite, or does not fit.
        CompileError: The toolchain failed.
        GateError: The result falls short of what was asked; carries the deployment.
    """
    plan, program = plan_deployment(model, target, request)
    if program is None:
        raise InputError("there is no model", where="model")
    samples = _samples(program, plan, request, model)
    side = _float_side(model, program, request, samples)
    found = find_target(target)

    def run(one: Plan) -> Deployment:
        return carry_out(one, found, side)

    return run(plan) if request.backend != "auto" else deploy_auto(plan, found, side, run)


def carry_out(plan: Plan, target: Target, side: FloatSide) -> Deployment:
    """Returns what came of ``plan``, as ``side.request`` asks for it.

    Raises:
        EdgeoptError: As `run_deployment`.
    """
    return _Work(plan, target, find_backend(plan.backend), side.request, side).deploy()


def harms_of(side: FloatSide, settings: Mapping[str, Any], program: Program) -> tuple[Harm, ...]:
    """Returns the values whose rounding harms ``program`` most, the worst first.

    Args:
        side: The float model, with its calibration samples.
        settings: With which ``program`` was quantized.
        program: The quantized program.
    """
    samples, progress = side.samples.calibration, side.request.progress
    progress("find what does harm", 0, 1)
    rescale = {**settings, "keep_float": ["*"]}  # rescaled as it was, not rounded
    rescaled = quantized(side.subject, samples, rescale, progress=silent)
    found = harmful_values(
        rescaled, program, samples[:HARM_SAMPLES], limit=HARM_TRIES, try_out=HARM_TRIES
    )
    progress("find what does harm", 1, 1)
    return found


def _float_side(model: Any, program: Program, request: Request, samples: Samples) -> FloatSide:
    if request.original is None:
        return FloatSide(model, program, request, samples)
    return FloatSide(*request.original, request, samples, compressed=program)


def calibration_of(
    program: Program, plan: Plan, request: Request, model: Any
) -> tuple[list[Any], ...]:
    """Returns the samples that ``plan`` calibrates with."""
    return _samples(program, plan, request, model).calibration


def _samples(program: Program, plan: Plan, request: Request, model: Any) -> Samples:
    return collect_samples(
        program.signature,
        request.calibration_data,
        request.example_inputs,
        calibrate=_max_samples(plan),
        check=request.check_samples,
        model=model,
    )


def as_program(model: Any, example_inputs: Any = None) -> Program:
    """Returns the canonical program of a module or an ExportedProgram; a Program as it is."""
    if isinstance(model, Program):
        return model
    return run_core(capture_module(model, example_inputs))


@dataclass(frozen=True)
class _Try:
    """One precision, built and judged."""

    precision: str
    settings: dict[str, Any]
    build: Build
    verdict: Verdict


@dataclass
class _Work:
    """One deployment under way."""

    plan: Plan
    target: Target
    backend: Backend
    request: Request
    side: FloatSide
    attempts: list[Attempt] = field(default_factory=list)
    tuning: TuningReport | None = None

    def deploy(self) -> Deployment:
        last = self._tuned(self._search())
        try:
            deployment = self._measured(last)
            self._require(deployment, last)
            return finish(
                deployment, last.build, self.backend, self.target, self.side, last.verdict
            )
        finally:
            last.build.close()

    def _search(self) -> _Try:
        """Returns the first try that loses no more than asked, or the last one."""
        last = self._try(self.plan.precision, self.plan.quantization)
        others = iter(self._others(last))
        while not last.verdict.accurate and _fit(last):
            following = next(others, None)
            if following is None:
                break
            self._note(last, taken=False)
            last.build.close()
            last = self._try(*following)
        self._note(last, taken=True)
        return last

    def _try(self, precision: str, settings: dict[str, Any]) -> _Try:
        request, samples = self.request, self.side.samples
        program = self.side.quantized(
            settings,
            lambda: quantized(
                self.side.subject, samples.calibration, settings, progress=request.progress
            ),
        )
        made = build(
            program,
            self.target,
            self.backend,
            options=request.compile_options,
            progress=request.progress,
        )
        return _Try(precision, settings, made, judge(made, self.side, self.backend))

    def _tuned(self, last: _Try) -> _Try:
        """Returns ``last``, or what it becomes with kernels tuned for it."""
        if self.request.tuning is None or not _accepted(last):
            return last
        last.build.close()
        self.tuning = tuned(last.build.lowered, self.target, self.backend, self.request)
        made = build(
            last.build.program,
            self.target,
            self.backend,
            options=replace(self.request, tuning_database=self.tuning.database).compile_options,
            progress=self.request.progress,
        )
        return replace(last, build=made, verdict=judge(made, self.side, self.backend))

    def _others(self, first: _Try) -> Iterator[tuple[str, dict[str, Any]]]:
        if self.request.precision == "auto" and self.side.given is None:
            known = self.backend.precisions(self.target)
            yield from ways_out(first.precision, first.settings, self._harms(first), known)

    def _note(self, one: _Try, *, taken: bool) -> None:
        accuracy = one.verdict.accuracy
        outcome = "not compared" if accuracy is None else str(accuracy)
        self.attempts.append(Attempt(one.precision, one.settings, outcome, taken))

    def _harms(self, one: _Try) -> tuple[Harm, ...]:
        if (
            one.precision != "int8"
            or not self.side.samples.calibration
            or self.side.given is not None
        ):
            return ()
        return harms_of(self.side, one.settings, one.build.program)

    def _measured(self, last: _Try) -> Deployment:
        speed, why_not = None, ""
        if self.request.check_speed and last.precision != "float32" and _accepted(last):
            speed, why_not = measure_speed(last.build, self.side, self.backend, self.target)
        made = last.build
        deployment = Deployment(
            plan=self.plan,
            program=made.program,
            precision=last.precision,
            size_bytes=made.artifact.size_bytes,
            float_size_bytes=self.side.program.size_bytes,
            support=made.support,
            operators=made.artifact.operators,
            parity=last.verdict.parity,
            accuracy=last.verdict.accuracy,
            speed=speed,
            attempts=tuple(self.attempts),
            tuning=self.tuning,
        )
        warnings = collect_warnings(
            deployment, self.request, self.target, made, self.side.samples, why_not
        )
        return replace(deployment, warnings=warnings)

    def _require(self, deployment: Deployment, last: _Try) -> None:
        """Raises where the deployment falls short."""
        parity, accuracy = deployment.parity, deployment.accuracy
        if parity is not None and not parity.ok:
            raise GateError(
                f"the artefact does not compute what the program does: {'; '.join(parity.reasons)}",
                where=f"parity, {parity.where}",
                hint="deploy with another backend or precision; please report it to the backend",
                deployment=deployment,
            )
        if accuracy is not None and not accuracy.ok:
            diagnosis = self._diagnosis(last)
            raise GateError(
                f"{accuracy}: outside max_drop {accuracy.max_drop:g}",
                where=accuracy.kind,
                hint="\n     ".join(str(diagnosis).splitlines()),
                deployment=replace(deployment, diagnosis=diagnosis),
            )
        if self.request.strict and deployment.warnings:
            raise GateError("; ".join(deployment.warnings), where="strict", deployment=deployment)

    def _diagnosis(self, last: _Try) -> Diagnosis:

        return diagnose(
            self.target,
            precision=last.precision,
            support=last.build.support,
            harms=self._harms(last)[:SHOWN],
            samples=len(self.side.samples.calibration),
            tried=tuple(attempt.precision for attempt in self.attempts),
        )


def _check_device(target: Target, request: Request) -> None:

    if isinstance(request.device, str):
        with opened(request.device, target):
            pass


def _fit(one: _Try) -> bool:
    return one.verdict.parity is None or one.verdict.parity.ok


def _accepted(one: _Try) -> bool:
    return _fit(one) and one.verdict.accurate


def _max_samples(plan: Plan) -> int:

    return int(make_config(plan.quantization).max_samples) if plan.quantization else 128


def _check_max_drop(program: Program, request: Request) -> None:

    if request.max_drop is None or request.evaluate is not None:
        return
    if all(class_axis(s.shape, s.dtype) is None for s in program.signature.outputs):
        raise InputError(
            "the outputs are not one score a class, so agreement cannot stand for accuracy",
            where="max_drop",
            hint="pass evaluate=, a function that takes the model and returns a score",
        )
