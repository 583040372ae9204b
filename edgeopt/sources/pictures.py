"""What sources of picture models have in common: sizes, example inputs, classes that ImageNet has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

__all__ = ["example_picture", "names_of"]


def example_picture(channels: int, height: int, width: int) -> tuple[torch.Tensor]:
    """Returns one sample, (1, channels, height, width): noise, which shows nothing."""
    import torch  # noqa: PLC0415 (heavy)

    return (torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(0)),)


def names_of(
    named: Mapping[Any, Any] | Sequence[Any] | None, count: int | None = None
) -> tuple[str, ...]:
    """Returns the names of classes 0, 1, 2 …; none where there are not as many as classes.

    Args:
        named: Number of a class (or its text) to its name, or the names in order.
        count: Classes of the model; None for as many as there are names.
    """
    if named is None:
        return ()
    pairs = named.items() if hasattr(named, "items") else enumerate(named)
    table = {int(number): " ".join(str(name).split()) for number, name in pairs}
    if sorted(table) != list(range(len(table))) or count not in {None, len(table)}:
        return ()
    return tuple(table[number] for number in range(len(table)))
