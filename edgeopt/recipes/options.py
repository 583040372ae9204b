"""What a step's options become where they depend on what the user gave beside the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from edgeopt.options import Options, QuantizationConfig, Training, TrainingOptions

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["for_target", "own_options", "training_options"]

O = TypeVar("O", bound=Options)  # noqa: E741 (the option type that comes back)


def training_options(step: Training, **given: Any) -> TrainingOptions:
    """Returns how a step trains.

    Args:
        step: The step.
        **given: More fields of `TrainingOptions`: ``evaluate``, ``checkpoint``.
    """
    fields = {name: getattr(step, name) for name in Training.__struct_fields__}
    if given.get("evaluate") is None:
        fields["patience"] = None  # a recipe is the same with a score and without one
    return TrainingOptions(**fields, **given)


def own_options(step: Options, kind: type[O], **changes: Any) -> O:
    """Returns the options of ``kind`` that ``step`` holds, but for ``changes``."""
    return kind(**{**{name: getattr(step, name) for name in kind.__struct_fields__}, **changes})


def for_target(config: QuantizationConfig, target: Target | None) -> QuantizationConfig:
    """Returns ``config`` with the target's bits a weight, where it names none, and has no fewer of its own."""
    own = min(target.quantization.weight_bits, config.bits) if target else config.bits
    bits = config.weight_bits or own
    return own_options(config, QuantizationConfig, weight_bits=bits)
