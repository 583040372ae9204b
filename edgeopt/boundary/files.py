"""Reads a file whole, if it is a plain file of a sensible size."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from edgeopt.errors import EdgeoptError, InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_file"]


def read_file(
    path: Path | str, *, most: int, error: type[EdgeoptError] = InputError, hint: str | None = None
) -> bytearray:
    """Returns the content of the plain file at ``path``.

    Args:
        path: The file. A link to one is followed.
        most: The largest size in bytes; a larger file is refused before any of it is read.
        error: What to raise.
        hint: What to do next, for the error.

    Raises:
        EdgeoptError: There is none, it is a folder, a pipe or a device, or it is too large.
    """
    where = str(path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            facts = os.fstat(stream.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise error("not a plain file", where=where, hint=hint)
            if facts.st_size > most:
                raise error(f"{facts.st_size} bytes, more than {most}", where=where, hint=hint)
            content = bytearray(facts.st_size)
            length = stream.readinto(content)  # a file that grows meanwhile is read to its old end
    except (OSError, ValueError, MemoryError) as unread:
        reason = getattr(unread, "strerror", None) or unread
        raise error(f"cannot be read: {reason}", where=where, hint=hint) from unread
    del content[length:]
    return content
