"""Puts a file or a folder under a name in one step: before it there is nothing (or the old), after it all.

It is made beside the name, in a draft (``.NAME.xxxxxxxx.draft``), synced to the disk, and renamed. A
draft is locked for as long as its process lives, so the next write of the same name can tell one that
a kill left behind, and removes it.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import logging
import os
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["drafting", "drafts", "put", "replacing", "sweep", "write_file"]

_LOG = logging.getLogger(__name__)
_ATTEMPTS = 20
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # FAT has none
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
_LOCK = "lock"


def write_file(path: Path, content: bytes) -> None:
    """Writes ``content`` to ``path``; a file there is replaced. Folders above it are made.

    Raises:
        OSError: It cannot be written; what lay there is still there.
    """
    if path.exists() and not path.is_file():  # a device or a pipe takes it; a folder is an error
        path.write_bytes(content)
        return
    with replacing(path) as new:
        new.write_bytes(content)


@contextmanager
def replacing(
    path: Path, *, overwrite: bool = True, any_kind: bool = False, sync: bool = True
) -> Iterator[Path]:
    """Yields a path to make a file or a folder at; it is renamed to ``path`` when the block ends.

    Args:
        path: What lies there is replaced, a folder as a whole. Folders above it are made.
        overwrite: Whether anything may lie there.
        any_kind: Whether a file may take the place of a folder, and a folder that of a file.
        sync: Whether it shall be on the disk before it gets its name.

    Raises:
        FileExistsError: Something lies there, and ``overwrite`` is False.
        OSError: It cannot be written, or something else lies there, which is still there.
    """
    with drafting(path) as draft:
        yield draft / "new"
        if sync:
            _sync_tree(draft / "new")
        if not any_kind:
            _check_kind(draft / "new", path)
        put(draft / "new", path, overwrite=overwrite)
        if sync:
            _sync(path.parent)


@contextmanager
def drafting(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path``, which is removed when the block ends.

    Drafts of the same name whose processes are gone are removed as well.

    Raises:
        OSError: It cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # that means something lies at ``path``, not above it
        number = errno.ENOTDIR
        raise NotADirectoryError(number, os.strerror(number), str(path.parent)) from error
    sweep(path.parent, path.name)
    draft, lock = _draft(path)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        lock.release()


def put(new: Path, path: Path, *, overwrite: bool = True) -> None:
    """Renames ``new`` to ``path``; what lay there is beside ``new`` afterwards.

    Raises:
        FileExistsError: Something lies there, and ``overwrite`` is False.
        OSError: The system did not let it be renamed; what lay there is still there.
    """
    if not overwrite:
        _put_where_nothing_is(new, path)
    elif not new.is_dir() and (path.is_symlink() or not path.is_dir()):
        new.replace(path)
    else:
        _put_folder(new, path)


def _sync_tree(path: Path) -> None:
    """Syncs a file, or a folder with all that is in it, to the disk."""
    if path.is_dir():
        for folder, _, files in os.walk(path):
            for name in files:
                _sync(Path(folder, name))
            _sync(Path(folder))
    else:
        _sync(path)


def _check_kind(new: Path, path: Path) -> None:
    """Raises OSError where ``path`` is neither missing nor of the same kind."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # or a link that leads nowhere: nothing is lost
        return
    if not (stat.S_ISDIR(mode) if new.is_dir() else stat.S_ISREG(mode)):
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EEXIST
        raise OSError(number, os.strerror(number), str(path))


def _put_where_nothing_is(new: Path, path: Path) -> None:
    if new.is_dir():
        try:
            new.rename(path)
        except OSError as error:
            if error.errno in _TAKEN:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
            raise
        return
    try:
        os.link(new, path)  # unlike a rename, fails where somebody else was faster
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        new.replace(path)


def _put_folder(new: Path, path: Path) -> None:
    """Replaces a folder, or by one. Of several processes that do so at once, the last one stays."""
    for attempt in range(_ATTEMPTS):
        if _exchange(new, path):
            return
        old = new.with_name(f"old{attempt}")
        with suppress(FileNotFoundError):
            path.rename(old)
        try:
            new.rename(path)
        except OSError as error:
            if error.errno in _TAKEN:  # somebody else was faster
                continue
            if os.path.lexists(old):
                old.rename(path)
            raise
        return
    raise FileExistsError(errno.EEXIST, "others write there all the time", str(path))


def _exchange(new: Path, path: Path) -> bool:
    """Returns whether the system could exchange the two in one step (Linux can)."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    with suppress(OSError, AttributeError):
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
        return bool(renameat2(here, os.fsencode(new), here, os.fsencode(path), exchange) == 0)
    return False


def _draft(path: Path) -> tuple[Path, FileLock]:
    """Returns a new draft of ``path`` and its lock, which this process holds."""
    for _ in range(_ATTEMPTS):
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".draft"))
        try:
            lock = _lock_of(draft)
        except (Timeout, FileNotFoundError, FileExistsError):
            # Another process took it for one that was left behind, and removes it just now.
            continue
        return draft, lock
    raise OSError(errno.EBUSY, "no draft can be made", str(path))


def _lock_of(draft: Path) -> FileLock:
    lock = FileLock(draft / _LOCK, thread_local=False)
    lock.acquire(blocking=False)
    return lock


def drafts(folder: Path, name: str = "") -> Iterator[Path]:
    """Yields the drafts in ``folder`` (of ``name``, where one is given)."""
    return folder.glob(f".{glob.escape(name) or '*'}.*.draft")


def sweep(folder: Path, name: str = "") -> None:
    """Removes drafts in ``folder`` (of ``name``, where one is given) whose processes are gone."""
    for draft in drafts(folder, name):
        with suppress(OSError):
            draft.rmdir()  # an empty one; its process goes on with another one, if there is a process
            continue
        with suppress(OSError, Timeout):
            # One without a lock whose process was killed while it removed the draft gets a lock here.
            lock = _lock_of(draft)
            shutil.rmtree(draft, ignore_errors=True)
            lock.release()
            _LOG.debug("%s was left behind, and is removed", draft)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no such call for folders
            raise
    finally:
        os.close(handle)
