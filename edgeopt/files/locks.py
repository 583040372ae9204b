"""Locks between processes: the system's own, so what a process holds is free when it ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Busy", "locked"]

FOREVER_S = -1.0
_POLL_S = 0.05


class Busy(Exception):  # noqa: N818 (no error by itself: the caller says what it means)
    """Another process, or another thread, holds the lock."""


@contextmanager
def locked(path: Path, *, wait_s: float = FOREVER_S, mode: int = 0o644) -> Iterator[None]:
    """Holds back everybody else who asks for the same lock file, until the block ends.

    Args:
        path: The file; it is made, with the folders above it, and stays.
        wait_s: How long to wait for it; negative is for ever.
        mode: Permissions of the file.

    Raises:
        Busy: Somebody else held it for longer.
        InputError: The file cannot be made.
    """
    lock = FileLock(path, timeout=wait_s, mode=mode, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(poll_interval=_POLL_S)
    except Timeout as error:
        raise Busy(str(path)) from error
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        hint = "set EDGEOPT_CACHE to a folder that can be written"
        raise InputError(what, where=str(path.parent), hint=hint) from error
    try:
        yield
    finally:
        lock.release()
