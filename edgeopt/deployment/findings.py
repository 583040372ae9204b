"""Why a deployment is as it is, from what it knows already: kept in the bundle's report, without a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts.storage import Precision
from edgeopt.explaining.floats import float_findings
from edgeopt.explaining.losses import extra_bytes, loss_findings
from edgeopt.explaining.rows import left_in_float, rows_of
from edgeopt.explaining.samples import input_finding, sample_differences
from edgeopt.explaining.speed import structure_finding
from edgeopt.gate.float_program import float_program
from edgeopt.gate.sensitivity import sensitive_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.steps import Checked, Job
    from edgeopt.explaining import Finding, SampleDifference
    from edgeopt.gate.sensitivity import Sensitivity

__all__ = ["known_differences", "known_findings"]

_SAMPLES, _TRIES, _SHOWN = 2, 6, 3
"""The search for harmful values must not be felt in a deployment: a second or two of EfficientNet-Lite0."""


def known_findings(
    deployment: Deployment,
    job: Job,
    checked: Checked,
    baseline: Baseline,
    values: Sequence[dict[str, Any]],
) -> tuple[Finding, ...]:
    """Returns what can be said of a deployment without measuring; the same for each run.

    Args:
        deployment: What was measured here.
        job: The deployment.
        checked: What goes into the bundle.
        baseline: The float model and its samples.
        values: Rows of the report, by `edgeopt.deployment.work.value_rows`.
    """
    rows, precision = rows_of(values), deployment.precision
    structure = structure_finding(precision, deployment.operators, job.target)
    sensitivities = _sensitivities(deployment, job, checked, baseline)
    sizes = {one.value: extra_bytes(checked.candidate.program, one.keep) for one in sensitivities}
    wide = bool(getattr(job.backend, "wide", False))
    inputs = input_finding(known_differences(job, checked, baseline), inputs=baseline.samples.kind)
    return (
        *float_findings(rows, precision, left=left_in_float(deployment.program.history), wide=wide),
        *((structure,) if structure else ()),
        *loss_findings(sensitivities, rows, sizes=sizes, wide=wide),
        *((inputs,) if inputs else ()),
    )


def known_differences(
    job: Job, checked: Checked, baseline: Baseline
) -> tuple[SampleDifference, ...]:
    """Returns how far the program is from float on each input that was checked, the worst first."""
    gate = checked.gate
    if checked.candidate.precision == Precision.FLOAT32 or not gate.reference:
        return ()
    return sample_differences(
        baseline.program.signature,
        baseline.outputs,
        gate.reference,
        values=gate.values,
        labels=job.request.bundle.class_names,
    )


def _sensitivities(
    deployment: Deployment, job: Job, checked: Checked, baseline: Baseline
) -> tuple[Sensitivity, ...]:
    if deployment.diagnosis is not None and deployment.diagnosis.sensitivities:
        return deployment.diagnosis.sensitivities[:_SHOWN]
    samples = baseline.samples.calibration[:_SAMPLES]
    if checked.candidate.precision != Precision.INT8 or not samples:
        return ()
    before = float_program(job.program)
    program = checked.candidate.program
    return sensitive_values(before, program, samples, limit=_SHOWN, try_out=_TRIES)
