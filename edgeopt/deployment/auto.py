"""``backend="auto"``: the first backend that works, or with a device the fastest one there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from traceback import clear_frames
from typing import TYPE_CHECKING

import msgspec

from edgeopt.bundles.write import copy_bundle
from edgeopt.deployment.choose import ConsideredBackend, choose_backend
from edgeopt.deployment.finish import temporary_bundle
from edgeopt.deployment.on_device import compare_on
from edgeopt.deployment.page import bundle_page, with_measured
from edgeopt.deployment.plan import Plan, make_plan
from edgeopt.errors import (
    CompileError,
    DeviceError,
    EdgeoptError,
    GateError,
    InputError,
    MemoryLimitError,
    PluginError,
    TargetError,
    UnsupportedError,
)
from edgeopt.measure.statistics import Latency, ratio_of
from edgeopt.registry import find_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.deployment.request import Request
    from edgeopt.deployment.result import Deployment
    from edgeopt.deployment.steps import Job

__all__ = ["Measured", "deploy_auto"]

_FAULTS = (CompileError, DeviceError, InputError, PluginError, TargetError, UnsupportedError)

RUNS = 50


class Measured(msgspec.Struct, frozen=True):
    """A backend that was tried.

    Attributes:
        backend: Its name.
        latency: Of one call on the device; None where it failed or was not measured.
        outcome: What came of it.
    """

    backend: str
    latency: Latency | None
    outcome: str


def deploy_auto(job: Job, run: Callable[[Job], Deployment]) -> Deployment:
    """Returns the deployment with the backend that is chosen, and why.

    Without a device (or with an emulated one, which has no times) that is the first in the order
    of `considered_backends` that compiles and passes parity. With a device, all that do are
    measured there, and run in turn with the best before them: one takes its place where the
    interval of the ratio says that it is faster.

    Args:
        job: As planned for the first backend.
        run: Deploys as a job says.

    Raises:
        EdgeoptError: None of them works (the error of the first), or the model loses too much
            with one that works.
    """
    plan, request = job.plan, job.request
    best: Deployment | None = None
    tried: list[Measured] = []
    faults: list[EdgeoptError] = []
    for name in _names(plan):
        try:
            deployment = run(_with_backend(job, name))
        except (*_FAULTS, GateError, MemoryLimitError) as error:
            if best is None and not _is_the_backends(error):
                raise
            clear_frames(error.__traceback__)  # else they hold all that was built, to the end
            faults.append(error)
            tried.append(Measured(name, None, f"failed: {error.what}"))
            continue
        tried.append(_measured(name, deployment))
        best = deployment if best is None or _faster(deployment, best, request) else best
        if tried[-1].latency is None:
            break
    if best is None:
        raise _told(faults)
    return _finished(best, plan, tried, request)


def _names(plan: Plan) -> Iterator[str]:
    """Yields the backend of the plan, and those after it; those before it cannot do it."""
    names = [one.backend for one in plan.candidates]
    yield from names[names.index(plan.backend) :]


def _with_backend(job: Job, name: str) -> Job:
    """Returns the job for one backend; with a device its bundle is a draft, until one is chosen."""
    original, plan = job.request, job.plan
    draft = original.output if original.device is None else None
    request = original.replace(backend=name, output=draft)
    if name == plan.backend:
        return replace(job, request=request)
    choose_backend(job.target, backend=name, precision=original.precision, program=job.program)
    other = make_plan(job.target, request, job.program)
    other = msgspec.structs.replace(other, outputs=plan.outputs)
    return replace(job, request=request, plan=other, backend=find_backend(name))


def _is_the_backends(error: EdgeoptError) -> bool:
    """Returns whether another backend may do better: the model's loss of accuracy stays."""
    if not isinstance(error, GateError):
        return not isinstance(error, MemoryLimitError)
    deployment = error.deployment
    if error.where == "strict" or deployment is None:
        return error.where != "strict"
    if deployment.parity is not None and not deployment.parity.ok:
        return True
    return deployment.accuracy is None or deployment.accuracy.ok


def _measured(name: str, made: Deployment) -> Measured:
    latency = None if made.profile is None else made.profile.latency
    return Measured(name, latency, "not measured" if latency is None else str(latency))


def _faster(made: Deployment, best: Deployment, asked: Request) -> bool:
    """Returns whether ``made`` is faster for certain, run in turn with ``best`` on the device.

    Where they cannot be run in turn (a device without Python), their own measurements count.
    """
    latencies = [one.profile.latency if one.profile is not None else None for one in (made, best)]
    if latencies[0] is None or latencies[1] is None or made.bundle is None or best.bundle is None:
        return False
    how = {"threads": asked.bundle.threads, "runs": RUNS, "min_seconds": 1.0}
    try:
        comparison = compare_on(made.bundle, best.bundle, asked.device or "local", **how)
    except DeviceError:
        return ratio_of(latencies[0], latencies[1]).verdict == "faster"
    return comparison.ratio.verdict == "faster"


def _told(faults: list[EdgeoptError]) -> EdgeoptError:
    missing = isinstance(faults[0], PluginError)
    for error in faults[1:]:
        if isinstance(error, PluginError) and not missing:
            continue  # that another backend is not installed says nothing of what went wrong
        faults[0].add_note(str(error))
    return faults[0]


def _finished(best: Deployment, plan: Plan, tried: list[Measured], asked: Request) -> Deployment:
    """Returns ``best`` with a plan that says why, and its bundle where it was asked for."""
    rivals = [one for one in tried if one.latency is not None]
    before = [one for one in plan.candidates if one.backend not in {t.backend for t in tried}]
    refusals = [one for one in before if "comes first" not in one.reason]
    rest = [one for one in before if one not in refusals]
    reasons = [
        ConsideredBackend(
            one.backend,
            chosen=one.backend == best.plan.backend,
            reason=_reason(one, best.plan.backend, plan, measured=len(rivals) > 1),
        )
        for one in tried
    ]
    full_plan = msgspec.structs.replace(
        best.plan, candidates=(*refusals, *reasons, *rest), outputs=plan.outputs
    )
    best = replace(best, plan=full_plan, measured=tuple(tried))
    if asked.device is None and len(tried) == 1:
        return best
    return _written(best, asked)


def _reason(one: Measured, taken: str, plan: Plan, *, measured: bool) -> str:
    if one.outcome.startswith("failed"):
        return one.outcome
    if one.backend != taken:
        return f"not faster than {taken} on the device"
    if measured:
        return "the fastest on the device, or no slower and preferred"
    return next((c.reason for c in plan.candidates if c.chosen and c.backend == taken), "") or (
        f"the first of {', '.join(c.backend for c in plan.candidates)} that works"
    )


def _written(best: Deployment, asked: Request) -> Deployment:
    draft = best.bundle
    if draft is None:
        return best
    report = {**(draft.report or {}), **best.report()}
    page = bundle_page(report, asked.bundle)
    overwrite = asked.bundle.overwrite or asked.device is None  # then it is our own that lies there
    if asked.output is None:
        bundle = temporary_bundle(lambda path: copy_bundle(draft, path, report=report, page=page))
    else:
        place = Path(asked.output)
        bundle = copy_bundle(draft, place, report=report, page=page, overwrite=overwrite)
    profile = best.profile
    if profile is not None:  # the same model: only the report tells more than the draft's
        profile = msgspec.structs.replace(profile, digest=bundle.digest)
    return with_measured(replace(best, bundle=bundle, profile=profile), asked)
