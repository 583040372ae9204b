"""Where a bundle's files lie: a folder or a .zip. Neither is believed."""

from __future__ import annotations

import os
import stat
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Protocol

from edgeopt.bundles.archive import check_zip
from edgeopt.bundles.paths import MAX_FILES
from edgeopt.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["Folder", "Storage", "Zip", "open_storage"]


class Storage(Protocol):
    """Names and contents, nothing else."""

    def sizes(self) -> dict[str, int]:
        """Returns file name to size in bytes."""
        ...

    def open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Returns the file's content as a stream."""
        ...


def open_storage(path: Path) -> Folder | Zip:
    """Returns the storage at ``path``.

    Raises:
        InputError: There is nothing.
    """
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Zip(path)
    hint = "a bundle is a folder with manifest.json, or a .zip of one"
    raise InputError("no such bundle", where=str(path), hint=hint)


@dataclass(frozen=True)
class Folder:
    """A bundle as a folder. Links and special files have no place in it."""

    path: Path

    def sizes(self) -> dict[str, int]:
        """Returns file name to size in bytes.

        Raises:
            BundleError: There is a link, a special file, an empty folder, or far too much.
        """
        lengths: dict[str, int] = {}
        todo = [""]
        count = 0
        while todo:
            prefix = todo.pop()
            entries = list(islice(os.scandir(self.path / prefix), 2 * MAX_FILES))
            count += len(entries)
            if count >= 2 * MAX_FILES:
                raise BundleError("more files than a bundle may hold", where=str(self.path))
            if prefix and not entries:
                raise BundleError("an empty folder", where=repr(prefix))
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    todo.append(name + "/")
                elif entry.is_file(follow_symlinks=False):
                    lengths[name] = entry.stat(follow_symlinks=False).st_size
                else:
                    raise BundleError("a link or a special file", where=repr(name))
        return lengths

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Yields the file's content as a stream."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with os.fdopen(os.open(self.path / name, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BundleError("not a plain file", where=repr(name))
            yield file


@dataclass(frozen=True)
class Zip:
    """A bundle as one .zip, in the one form that edgeopt writes."""

    path: Path

    def sizes(self) -> dict[str, int]:
        """Returns file name to size in bytes.

        Raises:
            BundleError: It is not such a .zip.
        """
        return check_zip(self.path)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Yields the file's content as a stream."""
        with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
            yield file
