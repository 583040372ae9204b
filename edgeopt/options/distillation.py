"""What a user may choose about distillation."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeopt.options.kinds import NonNegative, Positive
from edgeopt.options.training import Training

__all__ = ["Distillation"]

Layer = str | int


class Distillation(Training, frozen=True):
    """What the student shall learn from, how much each counts, and how it is trained.

    Attributes:
        temperature: Of the softened classes; the higher, the more the unlikely ones count.
        logits_weight: How much the teacher's classes count; 0 where the two have other classes.
        features: Module of the student to the module of the teacher whose output it shall have.
        features_weight: How much they count.
        attention: Layer or module of the student to that of the teacher that it shall look like:
            numbers for attention maps of Hugging Face models, names for modules.
        attention_weight: How much it counts.
        task_weight: How much the loss of the task counts, where there is one.
    """

    temperature: Positive = 4.0
    logits_weight: NonNegative = 1.0
    features: dict[str, str] = msgspec.field(default_factory=dict)
    features_weight: NonNegative = 1.0
    attention: dict[Layer, Layer] = msgspec.field(default_factory=dict)
    attention_weight: NonNegative = 1.0
    task_weight: NonNegative = 1.0

    @property
    def by_layer(self) -> bool:
        """Whether attention maps are asked of the models by the number of the layer."""
        return any(isinstance(key, int) for key in self.attention)

    def modules(self, *, teacher: bool) -> list[str]:
        """Returns the names of the modules that are read, of one of the two models."""
        pairs: list[tuple[Any, Any]] = [*self.features.items(), *self.attention.items()]
        return [n for pair in pairs if isinstance(n := pair[teacher], str)]
