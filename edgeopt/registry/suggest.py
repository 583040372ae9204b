"""Nearest names, for errors that say what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

__all__ = ["canonical", "did_you_mean", "nearest"]

_LIKE = 0.6  # how alike two names must be at least, of 1
_MUCH_WORSE = 0.85  # what is less alike than this share of the best is not worth naming


def canonical(name: str) -> str:
    """Returns ``name`` without case and punctuation: two names that agree in it are the same."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def nearest(name: str, known: Iterable[str] | Mapping[str, str], *, limit: int = 3) -> list[str]:
    """Returns the names most like ``name``, the nearest first.

    Args:
        name: What was written.
        known: The names there are; a mapping gives for each spelling the name to suggest.
        limit: At most so many are returned.
    """
    spellings = known if isinstance(known, Mapping) else {one: one for one in known}
    key = canonical(name)
    same = [one for one in spellings if canonical(one) == key]
    if same:
        return list(dict.fromkeys(spellings[one] for one in same))[:limit]
    likeness = {one: _likeness(key, canonical(one)) for one in spellings}
    best = max(likeness.values(), default=0.0)
    close = [one for one, ratio in likeness.items() if ratio >= max(_LIKE, _MUCH_WORSE * best)]
    close.sort(key=lambda one: -likeness[one])
    return list(dict.fromkeys(spellings[one] for one in close))[:limit]


def did_you_mean(name: str, known: Iterable[str] | Mapping[str, str]) -> str | None:
    """Returns ``did you mean "a" or "b"?``, or None where nothing is near."""
    quoted = [f'"{one}"' for one in nearest(name, known)]
    if not quoted:
        return None
    *most, last = quoted
    return f"did you mean {', '.join(most)} or {last}?" if most else f"did you mean {last}?"


def _likeness(key: str, other: str) -> float:
    """Returns how alike two canonical names are, from 0 to 1; a beginning counts as alike."""
    ratio = difflib.SequenceMatcher(None, key, other).ratio()
    begun = len(key) > 1 and other.startswith(key)
    return max(ratio, _LIKE) if begun else ratio
