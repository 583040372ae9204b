"""What a user may choose about quantization-aware training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgeopt.contracts.storage import Precision
from edgeopt.options.kinds import Positive, Share
from edgeopt.options.quantization import QuantizationConfig
from edgeopt.options.training import Training
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["QatOptions"]


class QatOptions(Training, frozen=True):
    """How to train on the grids that the Program runs on.

    Attributes:
        quantization: How a float model is quantized first; its defaults where left out.
        ranges: ``learned`` (step sizes are trained), ``moving`` (averages of the extremes seen; the
            weights' steps are trained) or ``fixed`` (those of PTQ).
        freeze_after: Share of training after which all grids stay as they are.
    """

    learning_rate: Positive = 1e-3
    quantization: QuantizationConfig = QuantizationConfig()
    ranges: Literal["learned", "moving", "fixed"] = "learned"
    freeze_after: Share = 0.7

    def conflicts(self) -> Iterable[Problem]:
        """Returns that there is no grid to train on, or that it cannot be computed on."""
        if not Precision(self.quantization.precision).has_integer_weights:
            what = f"{self.quantization.precision} has no grid to train on"
            yield Problem("quantization", what, "precision: int8 or int8-dynamic")
        if self.mixed_precision != "no":
            what = "bfloat16 cannot hold the integers that are trained on"
            yield Problem("mixed_precision", what, 'leave it at "no"')
