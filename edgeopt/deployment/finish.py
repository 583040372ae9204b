"""Writes the bundle, whole or not at all, and has the device verify and measure it."""

from __future__ import annotations

import math
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from edgeopt.bundles import GoldenSamples, Tolerance, write_bundle
from edgeopt.bundles.wheels import with_wheels
from edgeopt.deployment.described import with_vocabulary
from edgeopt.deployment.findings import known_findings
from edgeopt.deployment.on_device import placed, require_verified, with_parity
from edgeopt.deployment.page import bundle_page, with_measured
from edgeopt.deployment.work import value_rows
from edgeopt.files import make_temporary, remove_temporary
from edgeopt.gate.parity import output_steps
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.bundles import Bundle
    from edgeopt.bundles.family import Family, Member
    from edgeopt.deployment.baseline import Baseline
    from edgeopt.deployment.gates import GateResult
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.steps import Checked, Job
    from edgeopt.gate.metrics import Likeness
    from edgeopt.ir import Program

__all__ = ["finish", "golden_samples", "temporary_bundle"]

MAX_GOLDEN = 4
MAX_GOLDEN_BYTES = 2 << 20


def finish(
    deployment: Deployment,
    job: Job,
    checked: Checked,
    baseline: Baseline,
    links: Member | None = None,
    family: Family | None = None,
) -> Deployment:
    """Returns ``deployment`` with its bundle, written, and its profile where a device was given.

    With a device, the bundle is written to a temporary place first, and to ``output`` only after
    the device has verified it.

    Args:
        deployment: What was measured here.
        job: The deployment.
        checked: The first program.
        baseline: Whose samples become the golden ones.
        links: Method and state of the first program.
        family: Further programs, and the state that all share.

    Raises:
        BundleError: It cannot be written.
        DeviceError: The device cannot be reached or prepared.
        GateError: What the device computes is out of tolerance.
    """
    request, target, build = job.request, job.target, checked.build
    checks = baseline.samples.checks
    values = value_rows(build.lowered, build.support)
    findings = known_findings(deployment, job, checked, baseline, values)
    report = {
        **deployment.report(),
        "values": values,
        "findings": msgspec.to_builtins(findings),
    }
    golden = golden_samples(build.specified, checks, checked.gate)
    runtime = job.backend.device_runtime(target)
    if request.bundle.with_runtime:
        runtime = with_wheels(runtime, target)

    def write(path: Path) -> Bundle:
        return write_bundle(
            build.artifact,
            runtime,
            target,
            path=path,
            golden=golden,
            report=report,
            page=bundle_page(report, request.bundle),
            name=request.bundle.name,
            preprocess=with_vocabulary(request.bundle.preprocess, job.program),
            postprocess=request.bundle.postprocess,
            labels=request.bundle.class_names or None,
            links=links,
            family=family,
            overwrite=request.bundle.overwrite,
        )

    report_progress("bundle", 0, 1)
    if request.device is None:
        bundle = temporary_bundle(write) if request.output is None else write(Path(request.output))
        report_progress("bundle", 1, 1)
        return with_measured(replace(deployment, bundle=bundle), request)

    draft = temporary_bundle(write)
    with placed(draft, request.device) as there:
        require_verified(there, deployment)
        if build.runner is None and checks:
            deployment = with_parity(there, deployment, job, checked, baseline)
        profile = there.profile(threads=request.bundle.threads, min_seconds=1.0)
    bundle = draft if request.output is None else write(Path(request.output))
    report_progress("bundle", 1, 1)
    return with_measured(replace(deployment, bundle=bundle, profile=profile), request)


def temporary_bundle(write: Any) -> Bundle:
    """Returns the bundle that ``write(path)`` makes in a folder that lives as long as it does."""
    folder = make_temporary()
    try:
        bundle: Bundle = write(folder / "bundle")
    except BaseException:
        remove_temporary(folder)
        raise
    weakref.finalize(bundle, remove_temporary, folder)
    return bundle


def golden_samples(
    program: Program, samples: Sequence[tuple[np.ndarray, ...]], gate: GateResult
) -> GoldenSamples | None:
    """Returns a few inputs with the reference's outputs; None where no input is known.

    The tolerance is what was measured here and one step of the output's grid more.
    """
    count = _how_many(samples)
    if count == 0:
        return None
    measured = gate.parity.outputs if gate.parity is not None else ()
    excused = gate.parity is not None and gate.parity.is_excused
    outputs = gate.reference[:count]
    tolerances = [
        _tolerance(
            step, measured[i] if measured else None, [o[i] for o in outputs], excused=excused
        )
        for i, step in enumerate(output_steps(program))
    ]
    return GoldenSamples.of(list(samples[:count]), outputs, tolerances)


def _how_many(samples: Sequence[tuple[np.ndarray, ...]]) -> int:
    total = 0
    for count, sample in enumerate(samples[:MAX_GOLDEN]):
        total += sum(array.nbytes for array in sample)
        if total > MAX_GOLDEN_BYTES and count:
            return count
    return min(len(samples), MAX_GOLDEN)


def _tolerance(
    step: float | None, measured: Likeness | None, outputs: list[np.ndarray], *, excused: bool
) -> Tolerance:
    """Returns how far a device may be off: as this machine is, and a little more.

    Where last bits add up (``excused``), another runtime's do so elsewhere: twice in amplitude.
    """
    if outputs[0].dtype.kind != "f":
        return Tolerance(max_outliers=0.0 if measured is None else 1 - (measured.argmax or 0.0))
    error = measured.max_error if measured is not None else 0.0
    min_cosine = 0.999
    if excused and measured is not None:
        error, min_cosine = 2 * error, min(min_cosine, 1 - 4 * (1 - measured.cosine_min))
    if step is not None:
        return Tolerance(atol=step * (math.ceil(error / step - 1e-3) + 1) * 1.001)
    largest = max(float(np.abs(array).max(initial=0.0)) for array in outputs)
    return Tolerance(atol=2 * error + 1e-2 * largest, min_cosine=min_cosine)
