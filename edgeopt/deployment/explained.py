"""`edgeopt.explain` of a model: it goes through the steps of a deployment, and every question is asked of what they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import Precision
from edgeopt.deployment import steps
from edgeopt.deployment.compile import compile_bundle
from edgeopt.deployment.explained_maps import Attributing, attributions_of, with_pictures
from edgeopt.deployment.gates import check_build
from edgeopt.deployment.on_device import compare_on, operators_on
from edgeopt.deployment.pixels import with_pixels
from edgeopt.errors import EdgeoptError
from edgeopt.explaining import Explanation
from edgeopt.explaining.floats import float_findings
from edgeopt.explaining.losses import KeptInFloat, extra_bytes, loss_findings
from edgeopt.explaining.rows import left_in_float, rows_of
from edgeopt.explaining.samples import input_finding, sample_differences
from edgeopt.explaining.speed import speed_finding, structure_finding
from edgeopt.gate.parity import run_all
from edgeopt.gate.speed import check_speed
from edgeopt.ir import ReferenceRunner
from edgeopt.lowering import lower_once, shared_lowerings
from edgeopt.measure import OperatorProfile
from edgeopt.progress import progress_to, report_progress
from edgeopt.registry import find_backend
from edgeopt.registry.plugins import backends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Target
    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.steps import Baseline, Checked, Job, Source
    from edgeopt.explaining import Finding, SampleDifference
    from edgeopt.gate.sensitivity import Sensitivity
    from edgeopt.measure import Comparison

__all__ = ["explain_model", "timed"]

_SHOWN = 3
_TIMING: dict[str, Any] = {"runs": 50, "min_seconds": 0.5}


@dataclass(frozen=True, eq=False)
class _Case:
    """A deployment that is explained, with all that the questions are asked of."""

    job: Job
    source: Source
    baseline: Baseline
    checked: Checked
    deployment: Deployment
    bundle: Bundle
    device: Any

    @property
    def precision(self) -> str:
        return str(self.checked.candidate.precision)

    @property
    def is_wide(self) -> bool:
        """Whether single values may have 16 bits."""
        return bool(getattr(self.job.backend, "wide", False))


def explain_model(
    model: Any,
    target: str | Path | Target,
    request: Request,
    attributing: Attributing,
    *,
    device: Any = "local",
    measure: bool = True,
) -> Explanation:
    """Returns all answers for a model; `edgeopt.explain` documents the arguments.

    The first candidate is explained, whether the gate would accept it or not.

    Raises:
        EdgeoptError: As `edgeopt.deployment.deploy.run_deployment`; no gate fails.
    """
    with progress_to(request.progress), shared_lowerings():
        model, request = with_pixels(model, request)
        job = steps.plan(model, target, request)
        baseline = steps.baseline(model, job)
        source = steps.source(job, baseline)
        candidate = steps.quantize(job, source)
        build = steps.compile(job, candidate)
        try:
            checked = steps.check(job, candidate, build, baseline)
            deployment = steps.report(job, checked, baseline)
            deployment = steps.bundle(job, checked, baseline, deployment)
            if deployment.bundle is None:
                raise TypeError("a deployment without a device has a bundle")
            case = _Case(job, source, baseline, checked, deployment, deployment.bundle, device)
            return _explained(case, attributing, measure=measure)
        finally:
            build.close()


def _explained(case: _Case, attributing: Attributing, *, measure: bool) -> Explanation:
    notes: list[str] = []
    profile, beside = timed(case.bundle, _float_bundle(case), case.device, notes)
    sensitivities = case.source.sensitivities(case.checked.candidate)[:_SHOWN]
    kept_in_float = _kept(case, sensitivities, notes) if measure else None
    differences = _differences(case)
    answers = (
        *_floats(case, profile),
        *_speed(case, profile, beside),
        *_losses(case, sensitivities, kept_in_float, beside),
        *_inputs(case, differences),
    )
    attributions = attributions_of(case.baseline, case.checked, attributing, notes)
    explanation = Explanation(
        target=case.job.target.name,
        backend=case.job.backend.name,
        precision=case.precision,
        findings=answers,
        worst_samples=differences[: attributing.worst],
        attributions=attributions,
        notes=tuple(notes),
    )
    return with_pictures(
        explanation, case.baseline.program, case.baseline.samples.checks, attributing
    )


def _float_bundle(case: _Case) -> Bundle | None:
    """Returns the float twin, by the same backend; None where there is none."""
    known = case.job.backend.precisions(case.job.target)
    if case.precision == Precision.FLOAT32 or "float32" not in known:
        return None
    samples = case.baseline.samples.checks[:1] or None
    backend = case.job.backend.name
    return compile_bundle(case.baseline.program, case.job.target, backend=backend, samples=samples)


def timed(
    bundle: Bundle, float_bundle: Bundle | None, device: Any, notes: list[str]
) -> tuple[OperatorProfile | None, Comparison | None]:
    """Returns a bundle's operators with their times on a device, and the same beside float.

    Where that cannot be measured, ``notes`` says why.

    Args:
        bundle: The bundle.
        float_bundle: Its float twin; None where there is none.
        device: The device.
        notes: What could not be answered.
    """
    report_progress("time operators", 0, 1)
    try:
        profile = operators_on(bundle, device, **_TIMING)
        beside = None
        if float_bundle is not None:
            beside = compare_on(bundle, float_bundle, device, operators=True, **_TIMING)
    except EdgeoptError as error:
        notes.append(f"times were not measured on {device}: {error.what}")
        return None, None
    finally:
        report_progress("time operators", 1, 1)
    return (profile if isinstance(profile, OperatorProfile) else None), beside


def _floats(case: _Case, profile: OperatorProfile | None) -> tuple[Finding, ...]:
    rows = rows_of((case.bundle.report or {}).get("values"))
    elsewhere = dict(_elsewhere(case)) if any(row.kind == "float" for row in rows) else {}
    return float_findings(
        rows,
        case.precision,
        left=left_in_float(case.checked.candidate.program.history),
        wide=case.is_wide,
        profile=profile,
        elsewhere=elsewhere,
    )


def _elsewhere(case: _Case) -> Iterator[tuple[str, frozenset[str]]]:
    """Yields the target's other backends that are installed, with what is float there."""
    target, own = case.job.target, case.job.backend.name
    for name in [name for name in target.backends if name != own and name in backends()]:
        other = find_backend(name)
        if other.available() is not None or case.precision not in other.precisions(target):
            continue
        support = lower_once(other, case.checked.candidate.program, target).support
        if support.ok:
            yield name, frozenset(n.node for n in support.nodes if n.verdict == "float")


def _speed(
    case: _Case, profile: OperatorProfile | None, beside: Comparison | None
) -> Iterator[Finding]:
    finding = speed_finding(
        case.precision,
        case.job.target,
        profile=profile,
        speed=case.deployment.speed,
        comparison=beside,
    )
    if finding is None:
        finding = structure_finding(case.precision, case.deployment.operators, case.job.target)
    if finding is not None:
        yield finding


def _losses(
    case: _Case,
    sensitivities: tuple[Sensitivity, ...],
    kept: KeptInFloat | None,
    beside: Comparison | None,
) -> tuple[Finding, ...]:
    program = case.checked.candidate.program
    return loss_findings(
        sensitivities,
        rows_of((case.bundle.report or {}).get("values")),
        sizes={one.value: extra_bytes(program, one.keep) for one in sensitivities},
        kept=kept,
        beside_float=beside,
        wide=case.is_wide,
    )


def _kept(
    case: _Case, sensitivities: tuple[Sensitivity, ...], notes: list[str]
) -> KeptInFloat | None:
    """Returns what comes of keeping the worst value in float: quantized, compiled, compared and timed."""
    own = case.checked.gate.accuracy
    if not sensitivities or own is None or own.snr_db is None or case.precision != Precision.INT8:
        return None
    settings = dict(case.checked.candidate.settings)
    settings["keep_float"] = [*settings.get("keep_float", ()), *sensitivities[0].keep]
    try:
        candidate = steps.quantize(case.job, case.source, case.precision, settings)
        build = steps.compile(case.job, candidate)
    except EdgeoptError as error:
        notes.append(f"the worst value could not be kept in float: {error.what}")
        return None
    try:
        job = case.job
        gate = check_build(build, case.baseline, job.request, job.backend, job.target)
        if gate.accuracy is None or gate.accuracy.snr_db is None:
            return None
        more = build.artifact.size_bytes - case.deployment.size_bytes
        return KeptInFloat(own.snr_db, gate.accuracy.snr_db, more, _time_ratio(case, build))
    finally:
        build.close()


def _time_ratio(case: _Case, build: steps.Build) -> float | None:
    first = case.checked.build.runner
    simulates = getattr(case.job.backend, "simulates", False)
    if build.runner is None or first is None or simulates:
        return None
    speed = check_speed(
        build.runner,
        first,
        case.baseline.samples.checks[0],
        precision=case.precision,
        threads=case.job.request.bundle.threads,
        machine="",
        on_target=False,
    )
    return speed.ratio.value


def _differences(case: _Case) -> tuple[SampleDifference, ...]:
    samples = case.baseline.samples
    if case.precision == Precision.FLOAT32 or not samples.checks:
        return ()
    runner = case.checked.build.runner or ReferenceRunner(case.checked.build.specified)
    return sample_differences(
        case.baseline.program.signature,
        case.baseline.outputs,
        run_all(runner, samples.checks),
        values=case.checked.gate.values,
        labels=case.job.request.bundle.class_names,
    )


def _inputs(case: _Case, differences: tuple[SampleDifference, ...]) -> Iterator[Finding]:
    finding = input_finding(differences, inputs=case.baseline.samples.kind)
    if finding is not None:
        yield finding
