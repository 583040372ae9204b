"""The trials of a search, as points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import convert
from edgeopt.reporting.content import Point

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["search_points"]


class _Measured(msgspec.Struct, frozen=True):
    score: float
    size_bytes: int
    latency_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None


class _Trial(msgspec.Struct, frozen=True):
    number: int
    configuration: dict[str, Any] = {}
    measured: _Measured | None = None


class _Search(msgspec.Struct, frozen=True):
    trials: tuple[_Trial, ...]
    front: tuple[int, ...] = ()
    best: int | None = None


def search_points(plain: Mapping[str, Any], *, where: str) -> tuple[Point, ...]:
    """Returns the trials that were measured, of what `edgeopt.searching.SearchResult.to_dict` returned.

    Args:
        plain: The search.
        where: Where it comes from, for errors.

    Raises:
        InputError: It is something else.
    """
    search = convert(dict(plain), _Search, where=where)
    return tuple(
        Point(
            label=f"trial {one.number} ({_words(one.configuration)})",
            score=one.measured.score,
            latency_ms=one.measured.latency_ms,
            low_ms=one.measured.low_ms,
            high_ms=one.measured.high_ms,
            size_bytes=one.measured.size_bytes,
            front=one.number in search.front,
            best=one.number == search.best,
        )
        for one in search.trials
        if one.measured is not None
    )


def _words(configuration: Mapping[str, Any]) -> str:
    """Returns what a configuration sets, in a few words."""
    texts = [
        f"{name} {value}"
        for name, value in configuration.items()
        if value not in (None, "", {}, [])
    ]
    return ", ".join(texts)[:200]
