"""What a plan knows of memory: the model in its precision on made-up ranges, which takes the same room."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from edgeopt.contracts import EstimatesMemory
from edgeopt.contracts.storage import Precision
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.deployment.build import quantized
from edgeopt.deployment.memory import limits_of, memory_of, require_known_memory
from edgeopt.errors import EdgeoptError
from edgeopt.lowering import lower_once
from edgeopt.progress import progress_to, silent

if TYPE_CHECKING:
    from edgeopt.contracts.signature import TensorSpec
    from edgeopt.deployment.memory import MemoryReport
    from edgeopt.deployment.steps import Job
    from edgeopt.ir import Program

__all__ = ["foreseen_memory"]

_QUICK = {
    "equalization": "off",
    "smoothing": "off",
    "bias_correction": "off",
    "rounding": "nearest",
    # Ranges that are given are believed: no value is put back into float since noise loses it.
    "overrides": {"*": {"low": -1.0, "high": 1.0}},
}
"""Settings that change numbers, and no sizes."""


def foreseen_memory(job: Job) -> MemoryReport | None:
    """Returns what the planned program will take; None where that cannot be known.

    Nothing is calibrated for it: sizes follow from shapes and precisions. Where calibration puts
    values back into float, it takes more.

    Raises:
        InputError: A limit is given, and the backend does not say what a model takes.
    """
    limits = limits_of(job.target, job.request)
    if limits is None:
        return None
    require_known_memory(job.backend, job.request)
    if not isinstance(job.backend, EstimatesMemory):
        return None
    try:
        with progress_to(silent):
            lowered = lower_once(job.backend, _stand_in(job), job.target)
            return memory_of(lowered, job.backend, limits)
    except EdgeoptError as error:  # what is wrong is said where the real program is made
        logging.getLogger(__name__).debug("memory is not foreseen: %s", error)
        return None


def _stand_in(job: Job) -> Program:
    program, settings = job.program, job.plan.quantization
    if program.precision != Precision.FLOAT32:
        return program
    generator = torch.Generator().manual_seed(0)
    sample = [_noise(spec, generator) for spec in program.signature.inputs]
    data = Dataset(Binder.of_program(program), (sample,))
    return quantized(program, data, {**settings, **(_QUICK if settings else {})})


def _noise(spec: TensorSpec, generator: torch.Generator) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    if not dtype.is_floating_point:
        return torch.zeros(spec.shape, dtype=dtype)
    return torch.randn(spec.shape, generator=generator).to(dtype)
