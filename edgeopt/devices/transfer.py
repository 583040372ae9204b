"""Copies a file or a folder so that a whole copy appears under its name in one step.

The copy is made beside the name (``.NAME.xxxxxxxx.draft``) and renamed when it is complete.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["copy_whole", "whole"]


def copy_whole(source: Path, destination: Path) -> None:
    """Copies ``source`` to ``destination``; what lies there is replaced, a folder as a whole.

    Links to files are followed. Folders above ``destination`` are made.

    Raises:
        DeviceError: ``source`` is missing or holds what cannot be copied, or the system did not
            let it be written; what lay at ``destination`` is still there.
    """
    _check(source, destination)
    with whole(destination, source) as new:
        _copy(source, new)


@contextmanager
def whole(destination: Path, source: object) -> Iterator[Path]:
    """Yields a path to make a file or a folder at; it is renamed to ``destination`` afterwards.

    Args:
        destination: What lies there is replaced, a folder as a whole.
        source: What to call the thing in an error.

    Raises:
        DeviceError: The system did not let it be written; what lay there is still there.
    """
    draft: Path | None = None
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{destination.name}."
        draft = Path(tempfile.mkdtemp(dir=destination.parent, prefix=prefix, suffix=".draft"))
        yield draft / "new"
        _put(draft / "new", destination, draft / "old")
    except (OSError, shutil.Error) as error:
        what = f"{source} cannot be copied: {_reason(error)}"
        raise DeviceError(what, where=str(destination)) from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def _check(source: Path, destination: Path) -> None:
    if not source.exists():
        raise DeviceError("there is no such file or folder", where=str(source))
    if source.is_dir() and destination.resolve().is_relative_to(source.resolve()):
        raise DeviceError("a folder cannot be copied into itself", where=str(destination))
    if destination.name in {"", ".", ".."}:
        raise DeviceError("this names no file or folder", where=str(destination))


def _copy(source: Path, copy: Path) -> None:
    if not source.is_dir():
        _copy_file(os.fspath(source), os.fspath(copy))
        return
    for folder, folders, _ in os.walk(source):
        for name in folders:
            path = Path(folder, name)
            if path.is_symlink():  # it may lead round in a circle
                raise OSError(f"{path} is a link to a folder")
    shutil.copytree(source, copy, copy_function=_copy_file)
    copy.chmod(copy.stat().st_mode | stat.S_IRWXU)  # what may not be written cannot be moved


def _copy_file(source: str, copy: str) -> None:
    if not stat.S_ISREG(os.stat(source).st_mode):  # noqa: PTH116 (as shutil calls it)
        raise OSError(f"{source} is neither a file nor a folder")
    shutil.copy2(source, copy)


def _put(made: Path, destination: Path, old: Path) -> None:
    """Renames ``made`` to ``destination``; what it takes the place of is at ``old`` afterwards."""
    if made.is_dir() or (destination.is_dir() and not destination.is_symlink()):
        if os.path.lexists(destination):
            destination.rename(old)
        try:
            made.rename(destination)
        except OSError:
            if os.path.lexists(old):
                old.rename(destination)
            raise
    else:
        made.replace(destination)


def _reason(error: OSError | shutil.Error) -> str:
    problems = error.args[0] if error.args else ""
    if isinstance(error, shutil.Error) and isinstance(problems, list):
        return str(problems[0][2])  # (source, copy, reason) of the first of several
    return error.strerror or str(error)
