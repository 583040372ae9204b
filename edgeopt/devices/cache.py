"""Where edgeopt keeps what it can make again, and who may write there."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cache_folder", "only_one"]


def cache_folder() -> Path:
    """Returns ``$EDGEOPT_CACHE``, or ``edgeopt`` in the user's cache folder; it need not exist."""
    chosen = os.environ.get("EDGEOPT_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute()
    general = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (general if general.is_absolute() else Path.home() / ".cache") / "edgeopt"


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Holds back every other process that asks for the same lock file, until the block ends.

    The system releases the lock of a process that dies; the file stays.

    Raises:
        DeviceError: The folder cannot be written.
    """
    import fcntl  # noqa: PLC0415 (not on Windows)

    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        stream = lock.open("ab")
    except OSError as error:
        hint = "set EDGEOPT_CACHE to a folder that can be written"
        what = f"the cache cannot be written: {error.strerror}"
        raise DeviceError(what, where=str(lock.parent), hint=hint) from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
