"""Temporary folders that a kill does not leave for ever: the next run removes them.

Each is locked by the process that made it for as long as that lives (the lock is on the folder itself,
so its content is the caller's alone). One that nobody locks any more is what a killed process left.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:
    HAS_LOCKS = False  # Windows: what a kill leaves is left to the system
else:
    HAS_LOCKS = True

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["make_temporary", "remove_temporary", "temporary_folder"]

_PREFIX, _NEW = "edgeopt-run-", "edgeopt-new-"
_ATTEMPTS = 20
_locks: dict[Path, int] = {}
"""Folder to the open handle that locks it."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields an empty folder of this user's own, which is removed when the block ends.

    Raises:
        OSError: It cannot be made.
    """
    folder = make_temporary()
    try:
        yield folder
    finally:
        remove_temporary(folder)


def make_temporary() -> Path:
    """Returns an empty folder of this user's own, for `remove_temporary`.

    Raises:
        OSError: It cannot be made.
    """
    parent = Path(tempfile.gettempdir())
    if not HAS_LOCKS:
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    _sweep(parent)
    for _ in range(_ATTEMPTS):
        # It gets the name that others look at when it is locked.
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=parent))
        folder = parent / (_PREFIX + new.name.removeprefix(_NEW))
        with suppress(FileNotFoundError, BlockingIOError):  # another process swept it just now
            handle = _lock(new)
            try:
                new.rename(folder)
            except OSError:
                os.close(handle)
                raise
            _locks[folder] = handle
            return folder
    raise OSError(errno.EBUSY, "no temporary folder can be made", str(parent))


def remove_temporary(folder: Path) -> None:
    """Removes a folder of `make_temporary`, with what is in it. A second call does nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder in _locks:
        os.close(_locks.pop(folder))


def _sweep(parent: Path) -> None:
    """Removes this user's temporary folders whose processes are gone."""
    for prefix in (_PREFIX, _NEW):
        for folder in parent.glob(f"{prefix}*"):
            with suppress(OSError):
                if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                    continue
                handle = _lock(folder)
                if prefix == _NEW:
                    folder.rmdir()
                else:
                    shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


def _lock(folder: Path) -> int:
    """Returns the handle that locks ``folder``.

    Raises:
        OSError: Another process, or this one, holds it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
