"""The pruned and fine-tuned models of a search: made once, kept beside the study."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.files import replacing
from edgeopt.options import PruningOptions
from edgeopt.options.pruning import RATIOS
from edgeopt.pruning import load_pruned, prune

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from torch import nn

    from edgeopt.contracts import Target

__all__ = ["Pruner", "read_pruning"]


def read_pruning(given: Any, *, finetune: object) -> tuple[tuple[float, ...], dict[str, Any]]:
    """Returns the shares to prune, without 0, and the other options of `edgeopt.prune`.

    Args:
        given: As `edgeopt.options.SearchOptions` holds it.
        finetune: The user's fine-tuning step: with one, usual shares are tried.
    """
    choice = finetune is not None if given is None else given
    if isinstance(choice, bool):
        return (RATIOS if choice else ()), {}
    options = dict(choice)
    return tuple(sorted({one for one in options.pop("ratios") if one})), options


@dataclass(frozen=True)
class Pruner:
    """Makes the pruned models of one search.

    Attributes:
        model: The user's model.
        example_inputs: One call's inputs.
        calibration_data: Real inputs.
        target: Whose vector multiple the widths keep to.
        finetune: The user's fine-tuning step, called with the pruned module and the step.
        options: Other options of `edgeopt.prune`.
        folder: Where the models are kept.
    """

    model: nn.Module
    example_inputs: Any
    calibration_data: Iterable[Any] | None
    target: Target
    finetune: Callable[[nn.Module, int], Any] | None
    options: Mapping[str, Any]
    folder: Path

    def __call__(self, share: float) -> nn.Module:
        """Returns the model with ``share`` of its units gone, and fine-tuned."""
        place = self.folder / f"pruned-{share:g}"
        if not place.exists():
            small = prune(
                self.model,
                self.example_inputs,
                PruningOptions(ratio=share, **self.options),
                calibration_data=self.calibration_data,
                target=self.target,
                finetune=self.finetune,
            )
            # Where another worker was quicker, its model is taken.
            with suppress(FileExistsError), replacing(place, overwrite=False) as new:
                small.save(new)
        return load_pruned(place, self.model)
