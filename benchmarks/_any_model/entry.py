"""A model of the zoo: how it is built, and inputs as it will see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    Draw = Callable[[torch.Generator], Any]
    """From chance to what a model is called with: a tuple of tensors, or a dict by argument name."""

__all__ = ["Catalogue", "Entry", "images", "noise", "numbers", "sampled", "together"]


@dataclass(frozen=True)
class Entry:
    """One model.

    Attributes:
        name: Unique.
        family: Where it comes from: ``timm``, ``own`` …
        make: Builds it, as its user would.
        draw: Makes one sample of its inputs.
    """

    name: str
    family: str
    make: Callable[[], torch.nn.Module]
    draw: Draw

    def samples(self, count: int, seed: int) -> list[Any]:
        """Returns ``count`` samples; other seeds give others."""
        chance = torch.Generator().manual_seed(seed)
        return [self.draw(chance) for _ in range(count)]


class Catalogue:
    """Models of one family.

    Args:
        family: Its name.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self.entries: list[Entry] = []

    def add(self, name: str, make: Callable[[], torch.nn.Module], draw: Draw) -> None:
        """Adds one model."""
        self.entries.append(Entry(f"{self.family}/{name}", self.family, make, draw))

    def takes(self, draw: Draw, *args: Any, **named: Any) -> Callable[[type], type]:
        """Returns a decorator that adds a class, built with these arguments, by its name."""

        def added(kind: type) -> type:
            self.add(kind.__name__, lambda: kind(*args, **named), draw)
            return kind

        return added


def noise(*shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    """Returns what draws a normally distributed tensor of ``shape``."""
    return lambda chance: torch.randn(*shape, generator=chance)


def numbers(below: int, *shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    """Returns what draws whole numbers (int64) from 0 up to ``below``."""
    return lambda chance: torch.randint(0, below, shape, generator=chance)


def images(channels: int, *shape: int) -> Callable[[torch.Generator], torch.Tensor]:
    """Returns what draws one picture or film: large spots and small, standardized."""

    def draw(chance: torch.Generator) -> torch.Tensor:
        whole = torch.zeros(1, channels, *shape)
        mode = "trilinear" if len(shape) == 3 else "bilinear"  # noqa: PLR2004 (a film)
        for divisor in (32, 8, 2):
            size = [max(1, side // divisor) for side in shape]
            spots = torch.randn(1, channels, *size, generator=chance)
            whole += torch.nn.functional.interpolate(spots, size=shape, mode=mode)
        return whole / whole.std()

    return draw


def sampled(*draws: Callable[[torch.Generator], torch.Tensor]) -> Draw:
    """Returns what draws a call with one argument a function."""
    return lambda chance: tuple(draw(chance) for draw in draws)


def together(**draws: Callable[[torch.Generator], torch.Tensor]) -> Draw:
    """Returns what draws a call with named arguments."""
    return lambda chance: {name: draw(chance) for name, draw in draws.items()}
