"""What fidelity asks for, and what falls short of it."""

from __future__ import annotations

import msgspec

__all__ = ["Shortfall"]


class Shortfall(msgspec.Struct, frozen=True):
    """An output, or parts of it, of which too little is left.

    Attributes:
        grave: Whether it lies below the limit that fails.
        what: What falls short, by how much.
    """

    grave: bool
    what: str
