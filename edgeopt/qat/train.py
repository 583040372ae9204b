"""Quantization-aware training: from a table that PTQ found to weights trained on its grids."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

from torch import nn

from edgeopt.contracts.storage import FLOAT32
from edgeopt.data.batches import BatchInputs, require_reiterable, split_batch
from edgeopt.data.calls import call_model
from edgeopt.errors import InputError
from edgeopt.gate.calling import as_returned
from edgeopt.ir.program import Step
from edgeopt.progress import progress_to
from edgeopt.qat.module import QuantizedModule
from edgeopt.quantization import quantize_program
from edgeopt.training import History, Job, TrainingOptions, fit, make_accelerator
from edgeopt.training.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch

    from edgeopt.ir.program import Program
    from edgeopt.options import QatOptions

__all__ = ["train_program"]

SCALE_RATE = 1.0
"""Learning rate of the steps' logarithms, as a multiple of the weights'."""


def train_program(
    program: Program,
    data: Iterable[Any],
    loss: Callable[[Any, Any], torch.Tensor],
    options: QatOptions,
    training: TrainingOptions,
    calibration_data: Iterable[Any] | None = None,
) -> Program:
    """Returns ``program``, quantized, with weights trained on the grids that it runs on.

    With ``evaluate``, what training starts from is scored too, and kept where no epoch was better.

    Raises:
        InputError: An option or the data cannot be used, or the checkpoint is of another run.
        CalibrationError: The program must be quantized first and the data does not fit.
        TrainingError: A loss is not finite; the last good checkpoint is kept.
        PluginError: accelerate is not installed.
    """
    accelerator = make_accelerator()
    before = random_state()
    start = _quantized(program, data, options, training, calibration_data)
    module = QuantizedModule(start, ranges=options.ranges)
    module.to(accelerator.device)

    def before_step(share: float) -> None:
        if share >= options.freeze_after:
            module.freeze()

    job = Job(
        kind="train_quantized",
        model=module,
        losses=lambda model, batch: _losses(model, batch, loss, start),
        groups=_groups(module),
        identity=_identity(start, options, training),
        before_step=before_step,
        evaluated=_as_deployed,
        start=lambda held: _AsModel(copy.deepcopy(held).eval()),
    )
    try:
        history = fit(job, data, training, accelerator)
    finally:
        restore_random_state(*before)
    step = _step(options, training, history)
    if history.start_score is not None and history.best_epoch is None:
        effect = {**step.effect, "kept": "the Program as it was: no epoch scored higher"}
        return start.with_step(step.name, step.settings, effect)
    module.freeze()
    return module.to_program(step)


def _quantized(
    program: Program,
    data: Iterable[Any],
    options: QatOptions,
    training: TrainingOptions,
    calibration_data: Iterable[Any] | None,
) -> Program:
    if program.precision.has_integer_weights:
        return program
    if program.precision.weight_type != FLOAT32:
        raise InputError(
            f"a {program.precision} program is rounded already, and not to integers",
            where="model",
            hint="pass the float model",
        )
    samples = calibration_data
    if samples is None:
        require_reiterable(data, "data")
        samples = BatchInputs(data)
    with progress_to(training.progress):
        return quantize_program(program, samples, options.quantization)


def _losses(
    model: Any, batch: Any, loss: Callable[[Any, Any], torch.Tensor], program: Program
) -> dict[str, torch.Tensor]:
    inputs, target = split_batch(batch)
    output = _structured(program, call_model(model, inputs))
    return {"loss": loss(output, target if target is not None else batch)}


def _groups(module: QuantizedModule) -> list[dict[str, Any]]:
    weights = list(module.weights.values())
    steps = [p for p in module.grids.log_factors if p.requires_grad]
    return [
        {"params": weights, "weight_decay": 0.0},
        {"params": steps, "weight_decay": 0.0, "factor": SCALE_RATE},
    ]


class _AsModel(nn.Module):
    """Called as the model is, and returns what it returns, computed as a Program does."""

    def __init__(self, module: QuantizedModule) -> None:
        super().__init__()
        self.module = module.eval()

    def forward(self, *inputs: Any, **named: Any) -> Any:
        return _structured(self.module.program, self.module(*inputs, **named))


def _structured(program: Program, output: Any) -> Any:
    return as_returned(program, output if isinstance(output, tuple) else (output,))


def _as_deployed(module: QuantizedModule) -> _AsModel:
    """Returns a copy that computes what a program made now would."""
    clone = copy.deepcopy(module)
    clone.freeze()
    return _AsModel(clone)


def _identity(start: Program, options: QatOptions, training: TrainingOptions) -> dict[str, Any]:
    return {
        "kind": "train_quantized",
        "seed": training.seed,
        "program": hashlib.sha256(start.digest.encode()).hexdigest()[:16],
        "ranges": options.ranges,
        "freeze_after": options.freeze_after,
    }


def _step(options: QatOptions, training: TrainingOptions, history: History) -> Step:
    settings = {
        "ranges": options.ranges,
        "freeze_after": options.freeze_after,
        "epochs": training.epochs,
        "learning_rate": training.learning_rate,
        "seed": training.seed,
    }
    return Step("train_quantized", settings, history.to_dict())
