"""Reads a file whole, if it is a plain file of a sensible size."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from edgeopt.errors import EdgeoptError, InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_file"]

_SMALL, _LEAST_SHARE, _MOST_HOLES = 64 << 20, 8, 10_000
"""A file larger than this holds at least one byte in 8, between not too many holes."""


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
        EdgeoptError: There is none, it is a folder, a pipe or a device, it is too large, or it is large
            and nearly all of it is holes: a few bytes on the disk would fill the memory.
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
            if facts.st_size > _SMALL and _is_hollow(stream.fileno(), facts.st_size):
                raise error("nearly all of it is holes", where=where, hint=hint)
            content = bytearray(facts.st_size)
            length = stream.readinto(content)  # a file that grows meanwhile is read to its old end
    except (OSError, ValueError, MemoryError) as unread:
        reason = getattr(unread, "strerror", None) or unread
        raise error(f"cannot be read: {reason}", where=where, hint=hint) from unread
    del content[length:]
    return content


def _is_hollow(handle: int, size: int) -> bool:
    """Returns whether nearly nothing was ever written to a file; False where the system cannot tell."""
    data = at = 0
    try:
        for _ in range(_MOST_HOLES):
            begin = os.lseek(handle, at, os.SEEK_DATA)
            at = os.lseek(handle, begin, os.SEEK_HOLE)
            data += at - begin
            if data * _LEAST_SHARE >= size:
                return False
    except (OSError, AttributeError) as unknown:  # ENXIO: there is no data behind it
        return getattr(unknown, "errno", None) == errno.ENXIO
    finally:
        os.lseek(handle, 0, os.SEEK_SET)
    return True
