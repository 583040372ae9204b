"""What goes wrong with a board."""

from __future__ import annotations

__all__ = ["BoardError"]


class BoardError(RuntimeError):
    """A board that cannot be used: what was wrong, and what to do next (``hint``)."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint
