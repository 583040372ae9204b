"""Tuning on its own: the kernels that deploying a model would need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.contracts import TunesKernels
from edgeopt.deployment.build import quantized
from edgeopt.deployment.choose import require_supported
from edgeopt.deployment.deploy import calibration_of, plan_deployment
from edgeopt.deployment.tune import run_tuning
from edgeopt.errors import InputError
from edgeopt.passes import run_passes
from edgeopt.registry import find_backend, find_target

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
        request: What deploying would be asked for; its ``tune`` is the budget.

    Raises:
        EdgeoptError: What planning, quantizing and the backend raise.
    """
    plan, program = plan_deployment(model, target, request)
    found, backend = find_target(target), find_backend(plan.backend)
    if program is None or request.tuning is None or not isinstance(backend, TunesKernels):
        raise InputError("there is nothing to tune", where="tune")
    samples = calibration_of(program, plan, request, model)
    program = quantized(program, samples, plan.quantization, progress=request.progress)
    require_supported(backend.support(program, found))
    lowered = run_passes(program, backend.passes(found))
    return run_tuning(backend, lowered, found, request)
