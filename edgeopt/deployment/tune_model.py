"""Tuning on its own: the kernels that deploying a model would need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.contracts import TunesKernels
from edgeopt.deployment import steps
from edgeopt.deployment.candidate import Source
from edgeopt.deployment.tune import run_tuning
from edgeopt.errors import InputError
from edgeopt.lowering import require_supported
from edgeopt.progress import progress_to

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.contracts import Target, TuningReport
    from edgeopt.deployment.request import Request

__all__ = ["tune_model"]


def tune_model(model: Any, target: str | Path | Target, request: Request) -> TuningReport:
    """Returns what came of tuning the kernels that deploying ``model`` would need.

    Args:
        model: As for `edgeopt.deploy`.
        target: The device.
        request: What deploying would be asked for; its ``tuning`` is the budget.

    Raises:
        EdgeoptError: What planning, quantizing and the backend raise.
    """
    job = steps.plan(model, target, request)
    backend = job.backend
    if not request.tuning.active or not isinstance(backend, TunesKernels):
        raise InputError("there is nothing to tune", where="tuning")
    source = Source(job.program, steps.samples(model, job).calibration)
    program = steps.quantize(job, source).program
    with progress_to(request.progress):
        lowered = backend.lower(program, job.target)
        require_supported(lowered.support)
        return run_tuning(backend, lowered.program, job.target, request)
