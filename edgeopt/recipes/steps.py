"""The steps that a recipe may have, each with its options: the schema of ``[[steps]]``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

__all__ = [
    "STEPS",
    "AnyStep",
    "Distill",
    "Finetune",
    "Prune",
    "Quantize",
    "Sparsify",
    "TrainQuantized",
    "Training",
    "plain",
    "step_name",
]

Switch = Literal["auto", "on", "off"]
Ranges = Literal["auto", "minmax", "percentile", "mse"]


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How to train: fields of `edgeopt.TrainingOptions` that a file can hold.

    Attributes:
        epochs: How often the data is gone through.
        learning_rate: The highest one of the schedule.
        optimizer: ``adamw`` or ``sgd``.
        weight_decay: Biases and norms are left out.
        schedule: ``cosine``, ``linear`` or ``constant``.
        warmup: Share of training in which the learning rate rises from 0.
        clip_norm: Longest gradient; 0 for any.
        patience: Epochs without a better score after which training stops; 0 for never. Counts
            only where ``evaluate`` is given.
        mixed_precision: ``no`` or ``bf16``.
        seed: Of data order, dropout and new layers.
    """

    epochs: int
    learning_rate: float = 1e-3
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 0.01
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.0
    clip_norm: float = 1.0
    patience: int = 0
    mixed_precision: Literal["no", "bf16"] = "no"
    seed: int = 0


class _Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step; ``level`` says whether it works on the ``module`` or on the ``program``."""

    level: ClassVar[str] = "module"


class Prune(_Step, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="prune"):
    """Removes channels, heads and neurons: options of `edgeopt.prune`, one goal among them.

    Attributes:
        finetune: Training after each of ``steps``; None for none. It learns from the model that
            `edgeopt.compress` was given (its teacher) and from the loss, where there is one.
    """

    ratio: float | dict[str, float] | None = None
    macs: float | None = None
    parameters: float | None = None
    size_bytes: float | None = None
    latency_ms: float | None = None
    importance: Literal["activation", "l1", "l2", "taylor", "bn_scale", "random"] = "activation"
    scope: Literal["global", "layer"] = "global"
    keep: tuple[str, ...] = ()
    sensitivity: float | None = None
    multiple: int | None = None
    steps: int = 1
    finetune: Training | None = None
    residual_width: bool = False
    max_ratio: float = 0.9
    samples: int = 64
    seed: int = 0


class Sparsify(_Step, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="sparsify"):
    """Sets single weights to zero: options of `edgeopt.pruning.sparsify`."""

    ratio: float | None = None
    pattern: Literal["unstructured", "2:4"] = "unstructured"
    keep: tuple[str, ...] = ()


class Finetune(Training, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="finetune"):
    """Trains the module with the loss alone: the one given, or that of a Hugging Face model."""

    level: ClassVar[str] = "module"


class Distill(Training, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="distill"):
    """Trains the module on what the teacher says: options of `edgeopt.distill`.

    The teacher is the one given to `edgeopt.compress`, else the model as it was at first. The
    loss, where one is given, is the task's.
    """

    level: ClassVar[str] = "module"

    temperature: float = 4.0
    logits_weight: float = 1.0
    features: dict[str, str] = {}
    features_weight: float = 1.0
    attention: dict[str, int | str] = {}
    attention_weight: float = 1.0
    task_weight: float = 1.0


class Quantize(_Step, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="quantize"):
    """Quantizes after training (PTQ): fields of `edgeopt.QuantizationConfig`.

    Attributes:
        weight_bits: None takes those of the target, or 8.
    """

    level: ClassVar[str] = "program"

    precision: Literal["int8", "int8-dynamic", "float16"] = "int8"
    weight_bits: Literal[2, 3, 4, 5, 6, 7, 8] | None = None
    ranges: Ranges = "auto"
    equalization: Switch = "auto"
    smoothing: Switch = "auto"
    bias_correction: Switch = "auto"
    rounding: Literal["auto", "nearest", "adaptive"] = "auto"
    keep_float: tuple[str, ...] = ()
    overrides: dict[str, dict[str, Any]] = {}
    max_samples: int = 128


class TrainQuantized(
    Training, frozen=True, forbid_unknown_fields=True, tag_field="step", tag="train_quantized"
):
    """Trains on the grids that the Program runs on: options of `edgeopt.train_quantized`.

    Attributes:
        quantization: How a float model is quantized first: fields of `Quantize`. Left out after a
            ``quantize`` step, whose table training starts from.
        ranges: ``learned``, ``moving`` or ``fixed``.
        freeze_after: Share of training after which grids stay as they are.
    """

    level: ClassVar[str] = "program"

    learning_rate: float = 1e-4
    quantization: dict[str, Any] = {}
    ranges: Literal["learned", "moving", "fixed"] = "learned"
    freeze_after: float = 0.7


AnyStep = Prune | Sparsify | Finetune | Distill | Quantize | TrainQuantized

STEPS: dict[str, type[Any]] = {
    "prune": Prune,
    "sparsify": Sparsify,
    "finetune": Finetune,
    "distill": Distill,
    "quantize": Quantize,
    "train_quantized": TrainQuantized,
}
"""Name of a step in a file to its options."""


def plain(held: Any) -> Any:
    """Returns steps, or a recipe, as the values that JSON holds."""
    return msgspec.json.decode(msgspec.json.encode(held))


def step_name(step: AnyStep) -> str:
    """Returns what a step is called in a file."""
    return str(step.__struct_config__.tag)
