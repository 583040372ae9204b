"""The pruned and fine-tuned models of a search: made once, kept beside the study."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.errors import InputError
from edgeopt.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from torch import nn

    from edgeopt.contracts import Target

__all__ = ["RATIOS", "Pruner", "read_pruning"]

RATIOS = (0.25, 0.5)
"""Shares that are tried where the user names none."""


def read_pruning(given: Any, *, finetune: object) -> tuple[tuple[float, ...], dict[str, Any]]:
    """Returns the shares to prune, without 0, and the other options of `edgeopt.prune`.

    Args:
        given: True or None for `RATIOS` (None only with ``finetune``), False for none, shares, or
            a mapping of options of `edgeopt.prune` with ``ratios`` among them.
        finetune: The user's fine-tuning step.

    Raises:
        InputError: A share is not between 0 and 1, or something else was given.
    """
    options: dict[str, Any] = {}
    if given is None or isinstance(given, bool):
        asked = finetune is not None if given is None else given
        return (RATIOS if asked else ()), options
    ratios = given
    if hasattr(given, "keys"):
        options = dict(given)
        ratios = options.pop("ratios", RATIOS)
    if isinstance(ratios, (int, float)):
        ratios = (ratios,)
    if isinstance(ratios, str) or not hasattr(ratios, "__iter__"):
        hint = "pass shares, for example (0.25, 0.5), or a dict with ratios and options of prune"
        raise InputError(f"got a {type(ratios).__name__}", where="pruning", hint=hint)
    found = tuple(ratios)
    for one in found:
        if isinstance(one, bool) or not isinstance(one, (int, float)) or not 0 <= one < 1:
            raise InputError(f"{one!r}: a share lies between 0 and 1", where="pruning")
    return tuple(sorted({float(one) for one in found if one})), options


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
        from edgeopt.pruning import load_pruned, prune  # noqa: PLC0415 (torch)

        place = self.folder / f"pruned-{share:g}"
        if not place.exists():
            small = prune(
                self.model,
                self.example_inputs,
                ratio=share,
                calibration_data=self.calibration_data,
                target=self.target,
                finetune=self.finetune,
                **self.options,
            )
            # Where another worker was quicker, its model is taken.
            with suppress(FileExistsError), replacing(place, overwrite=False) as new:
                small.save(new)
        return load_pruned(place, self.model)
