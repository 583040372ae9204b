"""Copies a file or a folder so that a whole copy appears under its name in one step."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError
from edgeopt.files import replacing

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
    try:
        # What is copied can be copied again: not worth the wait for the disk.
        with replacing(destination, any_kind=True, sync=False) as new:
            yield new
    except (OSError, shutil.Error) as error:
        what = f"{source} cannot be copied: {_reason(error)}"
        raise DeviceError(what, where=str(destination)) from error


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


def _reason(error: OSError | shutil.Error) -> str:
    problems = error.args[0] if error.args else ""
    if isinstance(error, shutil.Error) and isinstance(problems, list):
        return str(problems[0][2])  # (source, copy, reason) of the first of several
    return error.strerror or str(error)
