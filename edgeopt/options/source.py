"""What may be said of a model that is loaded by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from edgeopt.options.base import Options
from edgeopt.options.kinds import Count, Whole
from edgeopt.registry.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SourceOptions"]


class SourceOptions(Options, frozen=True):
    """How a model that is named is built: ``timm:resnet18,weights=random,size=160``.

    Attributes:
        weights: Where they come from: ``pretrained`` (those that were published with the name, from this machine's
            caches), ``random`` (untrained, the same for one seed), or a file: ``.safetensors``, ``.pt``, ``.pth``,
            ``.bin``.
        size: Height and width of the picture, or one number for both; empty for the model's own.
        classes: Classes of the head; None for the model's own.
        length: Tokens of a text, samples of a sound; None for the model's own.
        seed: Of random weights.
    """

    weights: str = "pretrained"
    size: Annotated[tuple[Count, ...], Meta(max_length=2, extra={"single": True})] = ()
    classes: Count | None = None
    length: Count | None = None
    seed: Whole = 0

    def conflicts(self) -> Iterable[Problem]:
        """Returns what cannot be meant: no weights at all."""
        if not self.weights:
            yield Problem("weights", "expected pretrained, random or a file")

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the picture; None for the model's own."""
        return (self.size[0], self.size[-1]) if self.size else None
