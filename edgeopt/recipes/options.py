"""From a step's options to those of the function that carries it out; each checks its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.errors import InputError
from edgeopt.recipes.steps import (
    AnyStep,
    Distill,
    Prune,
    Quantize,
    Sparsify,
    Training,
    TrainQuantized,
)
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from edgeopt.contracts import Target
    from edgeopt.distillation import Wishes
    from edgeopt.quantization import QuantizationConfig
    from edgeopt.training import TrainingOptions

__all__ = [
    "GOALS",
    "check_options",
    "distillation_wishes",
    "prune_options",
    "quantization_config",
    "training_options",
]

GOALS = ("ratio", "macs", "parameters", "size_bytes", "latency_ms")
_OWN = ("importance", "scope", "max_ratio", "samples", "seed", "residual_width", "sensitivity")


def check_options(step: AnyStep) -> None:
    """Has a step's options checked.

    Raises:
        InputError: One is out of range; ``where`` names it.
    """
    if isinstance(step, Prune):
        _check_prune(step)
    elif isinstance(step, Sparsify):
        from edgeopt.pruning.sparse import check_pattern  # noqa: PLC0415 (torch)

        check_pattern(step.pattern, step.ratio)
    elif isinstance(step, Distill):
        distillation_wishes(step, None)
    elif isinstance(step, Quantize):
        quantization_config(step)
    elif isinstance(step, TrainQuantized):
        _check_qat(step)


def training_options(step: Training, **given: Any) -> TrainingOptions:
    """Returns how a step trains.

    Args:
        step: The step.
        **given: More fields of `TrainingOptions`: ``evaluate``, ``checkpoint``, ``progress``.
    """
    from edgeopt.training import TrainingOptions  # noqa: PLC0415 (torch)

    if step.patience < 0:
        raise InputError(f"expected 0 or more, got {step.patience}", where="patience")
    if step.clip_norm < 0 or step.weight_decay < 0:
        name = "clip_norm" if step.clip_norm < 0 else "weight_decay"
        raise InputError(f"expected 0 or more, got {getattr(step, name)}", where=name)
    scored = given.get("evaluate") is not None
    return TrainingOptions(
        epochs=step.epochs,
        learning_rate=step.learning_rate,
        optimizer=step.optimizer,
        weight_decay=step.weight_decay,
        schedule=step.schedule,
        warmup=step.warmup,
        clip_norm=step.clip_norm or None,
        patience=(step.patience or None) if scored else None,
        mixed_precision=step.mixed_precision,
        seed=step.seed,
        **given,
    )


def prune_options(step: Prune) -> dict[str, Any]:
    """Returns the arguments of `edgeopt.prune` that the step names."""
    names = (*GOALS, *_OWN, "keep", "multiple", "steps")
    held = {name: getattr(step, name) for name in names}
    return {k: v for k, v in held.items() if v is not None}


def distillation_wishes(step: Distill, loss: Any) -> Wishes:
    """Returns what the student shall learn from; ``loss`` is the task's, or None."""
    from edgeopt.distillation import Wishes  # noqa: PLC0415 (torch)

    return Wishes(
        temperature=step.temperature,
        logits_weight=step.logits_weight,
        features=step.features,
        features_weight=step.features_weight,
        attention={_layer(k): _layer(v) for k, v in step.attention.items()},
        attention_weight=step.attention_weight,
        task_loss=loss,
        task_weight=step.task_weight,
    )


def quantization_config(
    step: Quantize | dict[str, Any], target: Target | None = None
) -> QuantizationConfig:
    """Returns the config that a step asks for, with the target's bits a weight."""
    from edgeopt.quantization import QuantizationConfig  # noqa: PLC0415 (torch)

    held = dict(step) if isinstance(step, dict) else msgspec.structs.asdict(step)
    bits = held.pop("weight_bits", None)
    held["weight_bits"] = bits or (target.quantization.weight_bits if target else 8)
    known = QuantizationConfig.__struct_fields__
    for name in held:
        if name not in known:
            hint = did_you_mean(name, known) or f"fields: {', '.join(known)}"
            raise InputError(f'there is no "{name}"', where="quantization", hint=hint)
    try:
        return msgspec.convert(held, QuantizationConfig)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at ")
        named = path.strip("`$.") or "quantization"
        raise InputError(what, where=named.partition(".")[0]) from error


def _layer(name: str | int) -> str | int:
    return int(name) if isinstance(name, str) and name.isdigit() else name


def _check_prune(step: Prune) -> None:
    from edgeopt.pruning.options import Options, read_goal  # noqa: PLC0415 (torch)

    read_goal({name: getattr(step, name) for name in GOALS})
    held = prune_options(step)
    Options(**{k: v for k, v in held.items() if k not in GOALS})


def _check_qat(step: TrainQuantized) -> None:
    config = quantization_config(step.quantization)
    if not Precision(config.precision).has_integer_weights:
        raise InputError(f"{config.precision} has no grid to train on", where="quantization")
    if not 0 <= step.freeze_after <= 1:
        what = f"expected a share from 0 to 1, got {step.freeze_after}"
        raise InputError(what, where="freeze_after")
