"""Which inputs a bundle takes beside those of the example's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from edgeopt.options.base import Options
from edgeopt.options.kinds import SINGLE, Count, Data, Names
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Shapes"]


class Shapes(Options, frozen=True):
    """Further shapes that one bundle serves, with the same weights and the same numbers.

    Attributes:
        batches: Rows of a call. Axis 0 of every input is as long.
        lengths: Lengths of a sequence: of axis 1, in every input where that is as long as in the first.
        sizes: Sizes of a picture, ``HEIGHTxWIDTH`` each: of the last two axes of every input with four,
            or of axes 1 and 2 where the last counts channels.
        examples: Inputs of other shapes, each as ``example_inputs``.
        crossed: Whether each of the rows goes with each of the lengths and sizes, those of the example
            included: one program for each pair. Else each number makes one program beside the example's.
    """

    batches: Annotated[tuple[Count, ...], SINGLE] = ()
    lengths: Annotated[tuple[Count, ...], SINGLE] = ()
    sizes: Names = ()
    examples: Data | None = None
    crossed: bool = False

    def conflicts(self) -> Iterable[Problem]:
        """Returns which sizes are none."""
        if self.crossed and not (self.batches and (self.lengths or self.sizes)):
            hint = "pass batches and lengths or sizes, or leave it out"
            yield Problem("crossed", "there are no two kinds of numbers to cross", hint)
        for place, size in enumerate(self.sizes):
            parts = size.lower().split("x")
            if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):  # noqa: PLR2004
                yield Problem(f"sizes[{place}]", f'expected HEIGHTxWIDTH, got "{size}"')

    @property
    def are_any(self) -> bool:
        """Whether there are any."""
        return bool(self.batches or self.lengths or self.sizes or self.examples is not None)

    @property
    def pictures(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each size."""
        pairs = (size.lower().split("x") for size in self.sizes)
        return tuple((int(height), int(width)) for height, width in pairs)
