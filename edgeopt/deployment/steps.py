"""The steps of a deployment, each from frozen values to a frozen value; `edgeopt.deploy` is all of them.

    job = steps.plan(model, "rpi4", Request(calibration_data=data))
    baseline = steps.baseline(model, job)
    source = steps.source(job, baseline)
    candidate = steps.quantize(job, source)
    build = steps.compile(job, candidate)
    result = steps.check(job, candidate, build, baseline)
    deployment = steps.bundle(job, result, baseline)

What loops over them: `edgeopt.deploy` where a precision loses too much, or over backends;
`edgeopt.search` over configurations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.data.batches import rereadable
from edgeopt.data.binder import Binder
from edgeopt.deployment.baseline import Baseline
from edgeopt.deployment.build import Build, build
from edgeopt.deployment.candidate import Candidate, Source
from edgeopt.deployment.choose import choose_backend
from edgeopt.deployment.described import check_described
from edgeopt.deployment.finish import finish
from edgeopt.deployment.foresight import foreseen_memory
from edgeopt.deployment.gates import GateResult, check_build, measure_speed
from edgeopt.deployment.memory import limits_of, require_fit, require_known_memory
from edgeopt.deployment.on_device import opened
from edgeopt.deployment.plan import Plan, make_plan
from edgeopt.deployment.result import Attempt, Deployment
from edgeopt.deployment.samples import FittingItems, Samples, collect_samples
from edgeopt.deployment.tune import with_tuning_backend
from edgeopt.deployment.warn import collect_warnings
from edgeopt.errors import InputError
from edgeopt.gate.float_program import float_program
from edgeopt.gate.values import check_values
from edgeopt.ir import Program, capture_module
from edgeopt.options import QuantizationConfig
from edgeopt.passes import run_core
from edgeopt.progress import progress_to
from edgeopt.registry import find_backend, find_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edgeopt.bundles.family import Family, Member
    from edgeopt.contracts import Backend, Target, TuningReport
    from edgeopt.data.dataset import Dataset
    from edgeopt.deployment.request import Request

__all__ = [
    "Baseline",
    "Build",
    "Candidate",
    "Checked",
    "Deployment",
    "GateResult",
    "Job",
    "Source",
    "as_program",
    "baseline",
    "bundle",
    "check",
    "compile",
    "plan",
    "quantize",
    "source",
]


Step = TypeVar("Step", bound="Callable[..., Any]")


@dataclass(frozen=True, eq=False)
class Job:
    """One deployment, planned.

    Attributes:
        request: What was asked for.
        plan: What will be done.
        target: The device.
        backend: What compiles for it.
        program: What is deployed, as it was captured: before it is quantized.
    """

    request: Request
    plan: Plan
    target: Target
    backend: Backend
    program: Program

    @classmethod
    def of(cls, request: Request, target: Target, program: Program) -> Job:
        """Returns the job that deploys ``program``.

        Raises:
            EdgeoptError: No backend can do it.
        """
        deployment_plan = make_plan(target, request, program)
        return cls(request, deployment_plan, target, find_backend(deployment_plan.backend), program)


@dataclass(frozen=True, eq=False)
class Checked:
    """A candidate, compiled and put through the gate.

    Attributes:
        candidate: The program.
        build: What was made of it.
        gate: What the gate says.
        attempts: What was tried before it, and itself, for the report.
        tuning: What came of tuning its kernels; None where nothing was tuned.
    """

    candidate: Candidate
    build: Build
    gate: GateResult
    attempts: tuple[Attempt, ...] = ()
    tuning: TuningReport | None = None


def _reporting(step: Step) -> Step:
    """Returns ``step``, whose progress is told to whom the job's request names."""

    @wraps(step)
    def run(job: Job, *args: Any, **named: Any) -> Any:
        with progress_to(job.request.progress):
            return step(job, *args, **named)

    return cast("Step", run)


def plan(model: Any, target: str | Path | Target, request: Request, *, fitting: bool = True) -> Job:
    """Returns what will be done to deploy ``model``; everything that can fail early fails here.

    Args:
        model: The model.
        target: The device.
        request: What is asked for.
        fitting: Whether it has to fit into the device as it is; False where it is made smaller before.

    Raises:
        InputError: There is no model, an option is wrong, or the model or its inputs cannot be used.
        TargetError: There is no such target.
        PluginError: No backend for it is installed.
        UnsupportedError: No backend runs the model; carries the report.
        MemoryLimitError: It will not fit into the microcontroller, or not into what was asked for.
    """
    descriptor, request = resolve(target, request)
    if model is None:
        raise InputError("there is no model", where="model")
    if request.shapes.are_any:  # the data is read for each
        data = rereadable(request.calibration_data, "calibration_data")
        request = request.replace(calibration_data=data)
    program = as_program(model, request.example_inputs)
    check_described(program, request.bundle)
    check_values([program], request.checks.values)
    job = Job.of(request, descriptor, program)
    return _with_memory(job) if fitting else job


def resolve(target: str | Path | Target, request: Request) -> tuple[Target, Request]:
    """Returns the target, and the request for a backend that can do what is asked for.

    Raises:
        EdgeoptError: An option is wrong, or device or backend cannot be used.
    """
    request.check()
    descriptor = find_target(target)
    limits_of(descriptor, request)
    request = with_tuning_backend(request, descriptor)
    # Before the model is captured, which can take a while:
    _check_device(descriptor, request)
    choose_backend(descriptor, backend=request.backend, precision=request.precision)
    return descriptor, request


def samples(model: Any, job: Job) -> Samples:
    """Returns the inputs to calibrate and to check with: read, bound and checked once.

    Raises:
        CalibrationError: The data is empty, not finite, or does not fit.
    """
    request = job.request
    data = request.calibration_data
    if data is not None and request.shapes.are_any:
        data = FittingItems(data, Binder.of_program(job.program, model))
    return collect_samples(
        job.program,
        data,
        request.example_inputs,
        calibrate=QuantizationConfig.from_dict(job.plan.quantization).max_samples,
        check=request.checks.samples,
        model=model,
    )


def baseline(model: Any, job: Job, program: Program | None = None) -> Baseline:
    """Returns what candidates are compared with: the model in float.

    Args:
        model: The model, before any recipe.
        job: The deployment.
        program: The model's own program, where a recipe has made another one of it; None for the
            one that is deployed.

    Raises:
        CalibrationError: The data is empty, not finite, or does not fit.
    """
    request = job.request
    return Baseline(
        model,
        float_program(job.program if program is None else program),
        samples(model, job),
        request.evaluate,
    )


def source(job: Job, baseline: Baseline, others: Sequence[tuple[Program, Dataset]] = ()) -> Source:
    """Returns what candidates are made of: for one shape, or so that ranges hold for ``others`` too."""
    return Source(job.program, baseline.samples.calibration, others)


@_reporting
def quantize(
    job: Job,
    source: Source,
    precision: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Candidate:
    """Returns the candidate in ``precision``, by default the one that is planned.

    Raises:
        InputError: A setting is unknown or wrong.
        CalibrationError: There is no data to calibrate with.
    """
    return source.candidate(
        job.plan.precision if precision is None else precision,
        job.plan.quantization if settings is None else settings,
    )


@_reporting
def compile(job: Job, candidate: Candidate, *, database: str | None = None) -> Build:  # noqa: A001 (the step's name)
    """Returns ``candidate``, compiled for the target and loaded here if that can be.

    Args:
        job: The deployment.
        candidate: The program.
        database: Tuning database that kernels are taken from; None for the one asked for.

    Raises:
        UnsupportedError: An operator cannot be run; carries the report.
        InputError: A memory limit is given, and the backend does not say what a model takes.
        MemoryLimitError: It does not fit.
        CompileError: The toolchain failed.
    """
    options = job.request.compiling
    if database is not None:
        options = options.replace(tuning_database=database)
    require_known_memory(job.backend, job.request)
    limits = limits_of(job.target, job.request)
    return build(candidate.program, job.target, job.backend, options=options, limits=limits)


@_reporting
def check(job: Job, candidate: Candidate, build: Build, baseline: Baseline) -> Checked:
    """Returns what the gate says of ``build``: parity with the reference, accuracy beside float.

    Where nothing can be said of it, the build is released.

    Raises:
        CalibrationError: The float model makes NaN of a sample.
    """
    try:
        gate = check_build(build, baseline, job.request, job.backend, job.target)
    except BaseException:
        build.close()
        raise
    return Checked(candidate, build, gate)


@_reporting
def report(job: Job, checked: Checked, baseline: Baseline) -> Deployment:
    """Returns the deployment with all that was measured here, and its warnings; no bundle yet."""
    build, gate = checked.build, checked.gate
    speed, why_not = None, ""
    if (
        job.request.checks.speed
        and checked.candidate.precision != Precision.FLOAT32
        and gate.accepted
    ):
        speed, why_not = measure_speed(build, baseline, job.request, job.backend, job.target)
    deployment = Deployment(
        plan=job.plan,
        program=build.program,
        precision=checked.candidate.precision,
        size_bytes=build.artifact.size_bytes,
        float_size_bytes=baseline.program.size_bytes,
        support=build.support,
        operators=build.artifact.operators,
        parity=gate.parity,
        accuracy=gate.accuracy,
        speed=speed,
        attempts=checked.attempts,
        tuning=checked.tuning,
        memory=build.memory,
        statistics=gate.statistics,
    )
    warnings = collect_warnings(
        deployment,
        job.request,
        job.target,
        build,
        baseline.samples,
        why_not,
        float_program=baseline.program,
    )
    doubt = (baseline.doubt,) if gate.accepted and baseline.doubt else ()
    return replace(deployment, warnings=(*doubt, *warnings))


@_reporting
def bundle(
    job: Job,
    checked: Checked,
    baseline: Baseline,
    deployment: Deployment | None = None,
    *,
    links: Member | None = None,
    family: Family | None = None,
) -> Deployment:
    """Returns the deployment with its bundle written, and its profile where a device was given.

    Args:
        job: The deployment.
        checked: What goes into the bundle.
        baseline: Whose samples become the golden ones.
        deployment: What `report` returned; None for calling it.
        links: Method and state of the program.
        family: Further programs of the bundle, and the state that all share.

    Raises:
        BundleError: It cannot be written.
        DeviceError: The device cannot be reached or prepared.
        GateError: What the device computes is out of tolerance.
    """
    deployment = deployment or report(job, checked, baseline)
    return finish(deployment, job, checked, baseline, links, family)


def as_program(model: Any, example_inputs: Any = None) -> Program:
    """Returns the canonical program of a module or an ExportedProgram; a Program as it is."""
    if isinstance(model, Program):
        return model
    return run_core(capture_module(model, example_inputs))


def _with_memory(job: Job) -> Job:
    """Returns ``job``, whose plan says what it will take of flash and RAM, where that is known."""
    memory = foreseen_memory(job)
    if memory is None:
        return job
    require_fit(memory.use, memory.limits, job.plan.precision)
    return replace(job, plan=msgspec.structs.replace(job.plan, memory=memory))


def _check_device(target: Target, request: Request) -> None:
    if isinstance(request.device, str):
        with opened(request.device, target):
            pass
