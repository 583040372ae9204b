"""The steps that a recipe may have: the schema of ``[[steps]]`` is that of their functions' options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from edgeopt.contracts.storage import Precision
from edgeopt.options import (
    Distillation,
    PruningOptions,
    QatOptions,
    QuantizationConfig,
    SparsityOptions,
    Training,
)
from edgeopt.options.kinds import Positive
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

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


class Prune(PruningOptions, frozen=True, tag_field="step", tag="prune"):
    """Removes channels, heads and neurons: options of `edgeopt.prune`, one goal among them.

    Attributes:
        finetune: Training after each of ``steps``; None for none. It learns from the model that
            `edgeopt.compress` was given (its teacher) and from the loss, where there is one.
    """

    level: ClassVar[str] = "module"

    finetune: Training | None = None


class Sparsify(SparsityOptions, frozen=True, tag_field="step", tag="sparsify"):
    """Sets single weights to zero: options of `edgeopt.pruning.sparsify`."""

    level: ClassVar[str] = "module"


class Finetune(Training, frozen=True, tag_field="step", tag="finetune"):
    """Trains the module with the loss alone: the one given, or that of a Hugging Face model."""

    level: ClassVar[str] = "module"


class Distill(Distillation, frozen=True, tag_field="step", tag="distill"):
    """Trains the module on what the teacher says: options of `edgeopt.distill`.

    The teacher is the one given to `edgeopt.compress`, else the model as it was at first. The
    loss, where one is given, is the task's.
    """

    level: ClassVar[str] = "module"

    def __post_init__(self) -> None:
        super().__post_init__()
        numbered = {_layer(k): _layer(v) for k, v in self.attention.items()}
        msgspec.structs.force_setattr(self, "attention", numbered)


class Quantize(QuantizationConfig, frozen=True, tag_field="step", tag="quantize"):
    """Quantizes after training (PTQ): fields of `edgeopt.QuantizationConfig`."""

    level: ClassVar[str] = "program"

    def conflicts(self) -> Iterable[Problem]:
        """Returns that nothing would be quantized."""
        if self.precision == Precision.FLOAT32.value:
            yield Problem(
                "precision", "float32 is what the model is in already", "leave the step out"
            )


class TrainQuantized(QatOptions, frozen=True, tag_field="step", tag="train_quantized"):
    """Trains on the grids that the Program runs on: options of `edgeopt.train_quantized`.

    A float model is quantized first as ``quantization`` says. Leave that out after a ``quantize``
    step, whose table training starts from.
    """

    level: ClassVar[str] = "program"

    learning_rate: Positive = 1e-4  # what comes before has trained the model already


def _layer(name: str | int) -> str | int:
    """Returns a number as a number: the keys of a file are all text."""
    return int(name) if isinstance(name, str) and name.isdecimal() else name


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
    return msgspec.json.decode(msgspec.json.encode(held, enc_hook=_named))


def _named(value: Any) -> str:
    """Returns what stands for a value that no file holds, so that errors can name it."""
    return f"a {type(value).__name__}"


def step_name(step: AnyStep) -> str:
    """Returns what a step is called in a file."""
    return str(step.__struct_config__.tag)
