"""`edgeopt.deploy`: the steps, until one candidate loses no more than was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.bundles.family import Family
from edgeopt.contracts.storage import Precision
from edgeopt.deployment import steps
from edgeopt.deployment.auto import deploy_auto
from edgeopt.deployment.choose import dynamic_after
from edgeopt.deployment.fallbacks import fallbacks
from edgeopt.deployment.method_family import has_methods, method_relatives
from edgeopt.deployment.pixels import with_pixels
from edgeopt.deployment.plan import Plan, make_plan
from edgeopt.deployment.result import Attempt, Deployment
from edgeopt.deployment.shape_family import ShapeRelatives, shape_relatives
from edgeopt.deployment.tune import tuned
from edgeopt.deployment.worth import float_instead
from edgeopt.errors import GateError, MemoryLimitError
from edgeopt.gate.diagnose import SHOWN, diagnose
from edgeopt.lowering import shared_lowerings
from edgeopt.progress import progress_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgeopt.contracts import Target
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.build import Build
    from edgeopt.deployment.candidate import Candidate, Source
    from edgeopt.deployment.family import Further, Relatives
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.steps import Checked, Job
    from edgeopt.deployment.worth import PassedOver
    from edgeopt.gate.diagnose import Diagnosis
    from edgeopt.gate.speed import Speed
    from edgeopt.ir import Program

__all__ = ["deploy_beside", "deploy_job", "plan_deployment", "run_deployment"]


def plan_deployment(
    model: Any, target: str | Path | Target, request: Request, *, fitting: bool = True
) -> tuple[Plan, Program | None]:
    """Returns the plan for ``model``, and its program; without a model, only the plan.

    With ``fitting=False`` it need not fit into the device yet: a recipe comes first.

    Raises:
        EdgeoptError: As `edgeopt.deployment.steps.plan`.
    """
    if model is None:
        descriptor, request = steps.resolve(target, request)
        return make_plan(descriptor, request), None
    model, request = with_pixels(model, request)
    job = steps.plan(model, target, request, fitting=fitting)
    return job.plan, job.program


def run_deployment(model: Any, target: str | Path | Target, request: Request) -> Deployment:
    """Returns what came of deploying ``model``; `edgeopt.deploy` documents the arguments.

    Raises:
        EdgeoptError: What `edgeopt.deployment.steps.plan` raises.
        CalibrationError: The calibration data is empty, not finite, or does not fit.
        CompileError: The toolchain failed.
        GateError: The result falls short of what was asked; carries the deployment.
    """
    with progress_to(request.progress), shared_lowerings():
        if has_methods(model):
            return deploy_methods(model, target, request)
        model, request = with_pixels(model, request)
        job = steps.plan(model, target, request)
        return deploy_beside(job, steps.baseline(model, job))


def deploy_beside(job: Job, baseline: Baseline, relatives: Relatives | None = None) -> Deployment:
    """Returns what came of ``job``, with the best backend where that is left to edgeopt.

    Args:
        job: As planned.
        baseline: What candidates are compared with.
        relatives: What goes beside the first program; None for the shapes that the job asks for.

    Raises:
        EdgeoptError: As `run_deployment`.
    """
    beside = relatives or shape_relatives(job, baseline)
    source = steps.source(job, baseline, beside.calibration)

    def run(one: Job) -> Deployment:
        return deploy_job(one, source, baseline, beside)

    return deploy_auto(job, run) if job.request.backend == "auto" else run(job)


def deploy_methods(model: Any, target: str | Path | Target, request: Request) -> Deployment:
    """Returns what came of deploying a `Method`, or several: one bundle with the state that they keep.

    Raises:
        EdgeoptError: As `run_deployment`.
    """
    relatives, first = method_relatives(model, request)
    job = steps.plan(first.program, target, relatives.request(first, request))
    return deploy_beside(job, steps.baseline(first.program, job), relatives)


def deploy_job(
    job: Job, source: Source, baseline: Baseline, relatives: Relatives | None = None
) -> Deployment:
    """Returns what came of ``job``: of its plan, or of a fallback where that loses too much.

    Raises:
        EdgeoptError: As `run_deployment`.
    """
    checked = _tuned(job, _first_accurate(job, source, baseline), baseline)
    relatives = relatives or ShapeRelatives(job.program)
    further: list[Further] = []
    try:
        deployment = steps.report(job, checked, baseline)
        checked, passed_over = _worth_it(
            job, source, checked, deployment.speed, baseline, relatives
        )
        if passed_over is not None:
            deployment = replace(steps.report(job, checked, baseline), passed_over=passed_over)
        _require(job, source, checked, deployment)
        further = relatives.further(job, checked, baseline)
        deployment = replace(
            deployment,
            programs=tuple(one.result() for one in further),
            streams=relatives.streams(job, checked, further),
        )
        _require_streams(deployment)
        links = relatives.first(checked, further)
        family = Family([one.member() for one in further], relatives.states)
        return steps.bundle(job, checked, baseline, deployment, links=links, family=family)
    finally:
        for one in (checked, *(one.checked for one in further)):
            one.build.close()


def _first_accurate(job: Job, source: Source, baseline: Baseline) -> Checked:
    """Returns the first candidate that loses no more than asked, or the last one; the others are released."""
    attempts: list[Attempt] = []
    checked: Checked | None = None
    try:
        for candidate in _candidates(job, source):
            build = _compiled(job, candidate, attempts, is_first=checked is None)
            if build is None:
                continue
            if checked is not None:
                attempts.append(_attempt(checked, taken=False))
                checked.build.close()
            checked = steps.check(job, candidate, build, baseline)
            if checked.gate.accurate or not checked.gate.faithful:
                break
    except BaseException:
        if checked is not None:
            checked.build.close()
        raise
    if checked is None:
        raise TypeError("a plan has at least one candidate")
    attempts.append(_attempt(checked, taken=True))
    return replace(checked, attempts=tuple(attempts))


def _worth_it(
    job: Job,
    source: Source,
    checked: Checked,
    speed: Speed | None,
    baseline: Baseline,
    relatives: Relatives,
) -> tuple[Checked, PassedOver | None]:
    """Returns ``checked``, or float32 in its place where that is better and may be chosen, and why.

    What several programs have in common keeps the precision that is planned: only the first of them was measured.
    """
    is_alone = isinstance(relatives, ShapeRelatives) and not relatives.shapes
    better = float_instead(job, source, speed, baseline) if is_alone else None
    if better is None:
        return checked, None
    other, passed_over = better
    checked.build.close()
    *before, last = checked.attempts
    outcome = f"{last.outcome}; {passed_over.reason}"
    dropped = msgspec.structs.replace(last, outcome=outcome, taken=False)
    attempts = (*before, dropped, _attempt(other, taken=True))
    return replace(other, attempts=attempts), passed_over


def _compiled(
    job: Job, candidate: Candidate, attempts: list[Attempt], *, is_first: bool
) -> Build | None:
    """Returns a candidate's build; None, and a note among the attempts, for a fallback that does not fit."""
    try:
        return steps.compile(job, candidate)
    except MemoryLimitError as error:
        if is_first:
            raise
        outcome = f"does not fit: {error.what}"
        attempts.append(
            Attempt(candidate.precision, dict(candidate.settings), outcome, taken=False)
        )
        return None


def _candidates(job: Job, source: Source) -> Iterator[Candidate]:
    """Yields the candidate that is planned, then what is tried where it loses too much.

    A precision that was asked for stays what it is; weights of few bits may get more within it.
    """
    first = steps.quantize(job, source)
    yield first
    asked = job.request.precision
    mixes = asked != "auto" and Precision(asked).weight_type.is_packed
    if source.is_quantized or not (asked == "auto" or mixes):
        return
    sensitivities = source.sensitivities(first)
    precisions = job.backend.precisions(job.target)
    wide = getattr(job.backend, "wide", False)
    after = dynamic_after(job.backend, job.target, source.program)
    for precision, settings in fallbacks(
        first.precision,
        first.settings,
        sensitivities,
        precisions,
        wide=wide,
        dynamic_after=after,
    ):
        if mixes and precision != asked:
            return
        yield steps.quantize(job, source, precision, settings)


def _attempt(checked: Checked, *, taken: bool) -> Attempt:
    accuracy, candidate = checked.gate.accuracy, checked.candidate
    outcome = "not compared" if accuracy is None else str(accuracy)
    return Attempt(candidate.precision, dict(candidate.settings), outcome, taken)


def _tuned(job: Job, checked: Checked, baseline: Baseline) -> Checked:
    """Returns ``checked``, or what it becomes with kernels tuned for it."""
    if not job.request.tuning.active or not checked.gate.accepted:
        return checked
    checked.build.close()
    report = tuned(checked.build.lowered, job.target, job.backend, job.request)
    build = steps.compile(job, checked.candidate, database=report.database)
    again = steps.check(job, checked.candidate, build, baseline)
    return replace(again, attempts=checked.attempts, tuning=report)


def _require(job: Job, source: Source, checked: Checked, deployment: Deployment) -> None:
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
        diagnosis = _diagnosis(job, source, checked)
        raise GateError(
            f"{accuracy}: {accuracy.failure}",
            where=accuracy.kind,
            hint="\n     ".join(str(diagnosis).splitlines()),
            deployment=replace(deployment, diagnosis=diagnosis),
        )
    if job.request.checks.strict and deployment.warnings:
        raise GateError("; ".join(deployment.warnings), where="strict", deployment=deployment)


def _require_streams(deployment: Deployment) -> None:
    """Raises where the bundle drifts away over many calls."""
    if deployment.streams is not None and not deployment.streams.ok:
        raise GateError(
            f"over many calls: {deployment.streams}",
            where="state",
            hint="calibrate on longer sessions, or deploy with precision='int8-dynamic' or 'float32'",
            deployment=deployment,
        )


def _diagnosis(job: Job, source: Source, checked: Checked) -> Diagnosis:
    return diagnose(
        job.target,
        precision=checked.candidate.precision,
        support=checked.build.support,
        sensitivities=source.sensitivities(checked.candidate)[:SHOWN],
        samples=len(source.calibration),
        tried=tuple(attempt.precision for attempt in checked.attempts),
    )
