"""Code in the style of people's repositories: see `_any_model.own`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _any_model.entry import Entry

__all__ = ["entries"]


def entries() -> list[Entry]:
    """Returns the models."""
    from _any_model.own import habits, pictures, sciences, sounds, texts  # noqa: PLC0415

    rooms = (pictures, texts, sounds, sciences, habits)
    return [entry for room in rooms for entry in room.OWN.entries]
