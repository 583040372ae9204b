"""What is searched: every configuration, and which are tried first."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.searching.configuration import SWITCHES, Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Space"]


class Space(msgspec.Struct, frozen=True):
    """The values that each part of a configuration may take.

    Attributes:
        engines: Backend and precision, those to try first in front.
        floats: How many of the most harmful values stay in float, from 0.
        ranges: As in `edgeopt.QuantizationConfig`; like the next three, the default first.
        equalization: Likewise.
        smoothing: Likewise.
        rounding: Likewise.
        pruned: Shares to prune, from 0.
    """

    engines: tuple[tuple[str, str], ...]
    floats: tuple[int, ...] = (0,)
    ranges: tuple[str, ...] = ("auto",)
    equalization: tuple[str, ...] = ("auto",)
    smoothing: tuple[str, ...] = ("auto",)
    rounding: tuple[str, ...] = ("auto",)
    pruned: tuple[float, ...] = (0.0,)

    def axes(self) -> dict[str, int]:
        """Returns part to the number of values that it may take, where there is a choice."""
        counts = {name: len(getattr(self, name)) for name in self.__struct_fields__}
        return {name: count for name, count in counts.items() if count > 1}

    @property
    def ordered(self) -> frozenset[str]:
        """Parts whose values have an order."""
        return frozenset({"floats", "pruned"})

    def configuration(self, places: Mapping[str, int]) -> Configuration:
        """Returns the configuration with these places on the axes, in canonical form."""
        fields: dict[str, Any] = {
            name: getattr(self, name)[places.get(name, 0)] for name in self.__struct_fields__
        }
        backend, precision = fields.pop("engines")
        return Configuration(backend, precision, **fields).canonical()

    def places(self, one: Configuration) -> dict[str, int]:
        """Returns the places of ``one`` on the axes."""
        engine = (one.backend, one.precision)
        values = {
            **{n: getattr(one, n) for n in ("floats", "pruned", *SWITCHES)},
            "engines": engine,
        }
        return {name: getattr(self, name).index(values[name]) for name in self.axes()}

    def all(self) -> Iterator[Configuration]:
        """Yields every configuration once."""
        axes, configurations = self.axes(), set()
        for row in itertools.product(*(range(count) for count in axes.values())):
            configuration = self.configuration(dict(zip(axes, row, strict=True)))
            if configuration not in configurations:
                configurations.add(configuration)
                yield configuration

    def first(self, fastest: str = "") -> Iterator[Configuration]:
        """Yields what is tried first: each engine as it is, then values kept in float and pruning.

        The harmful values come from the sensitivity of the model, so these are the best guesses
        that there are before much was measured.

        Args:
            fastest: The backend to go on with; the first one where empty.
        """
        plain = [self.configuration({"engines": place}) for place in range(len(self.engines))]
        yield from plain
        integer = [one for one in plain if one.precision.is_integer] or plain[:1]
        base = next((one for one in integer if one.backend == fastest), integer[0])
        for count in self.floats[1:]:
            yield msgspec.structs.replace(base, floats=count)
        for share in self.pruned[1:]:
            yield msgspec.structs.replace(base, pruned=share)
