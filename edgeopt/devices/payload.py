"""Files on their way to a device and back: what a folder holds, and that as a tar stream."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import msgspec

from edgeopt.devices.tree import file_digest
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Content", "FileEntry", "remote_entries", "scan", "unpack", "write_payload"]

WHOLE = "whole"
"""The last member of an archive: a device that has it has all."""


class FileEntry(msgspec.Struct, frozen=True):
    """A file or a folder, as far as two of them can differ.

    Attributes:
        digest: SHA-256 of a file; empty for a folder.
        program: Whether a file may be started.
    """

    digest: str
    program: bool = False


Content = dict[str, FileEntry]
"""Path to what it is; the path of the whole is empty."""


def scan(source: Path) -> Content:
    """Returns what ``source`` holds: a folder, or a file under the empty path.

    Raises:
        DeviceError: It is missing, or holds what cannot be copied.
    """
    if not source.exists():
        raise DeviceError("there is no such file or folder", where=str(source))
    try:
        return _scan(source)
    except OSError as error:
        what = f"{source} cannot be copied: {error.strerror or error}"
        raise DeviceError(what, where=str(source)) from error


def _scan(source: Path) -> Content:
    if not source.is_dir():
        return {"": _file(source)}
    content = {"": FileEntry("")}
    for folder, folders, files in os.walk(source):
        here = Path(folder)
        for name in folders:
            if (here / name).is_symlink():  # it may lead round in a circle
                raise OSError(f"{here / name} is a link to a folder")
            content[(here / name).relative_to(source).as_posix()] = FileEntry("")
        for name in files:
            content[(here / name).relative_to(source).as_posix()] = _file(here / name)
    return content


def _file(path: Path) -> FileEntry:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is neither a file nor a folder")
    return FileEntry(file_digest(path), bool(mode & stat.S_IXUSR))


def remote_entries(listing: bytes) -> Content:
    """Returns what a device's listing says: lines ``d PATH``, ``x PATH`` and ``DIGEST  PATH``.

    A name that the listing cannot show as it is stands for none; its file counts as missing.
    """
    content: Content = {}
    programs = set()
    for line in listing.split(b"\n"):
        kind, _, path = line.partition(b" ")
        name = os.fsdecode(path.removeprefix(b" ").removeprefix(b"."))
        name = name.removeprefix("/")
        if kind == b"d":
            content[name] = FileEntry("")
        elif kind == b"x":
            programs.add(name)
        elif len(kind) == 64:  # noqa: PLR2004 (SHA-256 in hexadecimal)
            content[name] = FileEntry(kind.decode("ascii", "replace"))
    return {
        name: FileEntry(entry.digest, bool(entry.digest) and name in programs)
        for name, entry in content.items()
    }


def write_payload(
    stream: IO[bytes], source: Path, content: Mapping[str, FileEntry], kept: Iterable[str]
) -> None:
    """Writes a tar stream: ``new`` with what changed, ``kept`` (names), and ``whole``.

    Args:
        stream: Where to.
        source: The file or folder.
        content: What `scan` said of it.
        kept: Files that the device has already.

    Raises:
        DeviceError: A file cannot be read, or has changed meanwhile.
    """
    there = set(kept)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, entry in sorted(content.items()):
            if name not in there:
                _add(archive, source / name if name else source, _member(name), entry)
        listing = "".join(f"{name}\n" for name in sorted(there))
        _add_bytes(archive, "kept", listing.encode("utf-8", "surrogateescape"))
        _add_bytes(archive, WHOLE, b"")


def _member(name: str) -> str:
    return f"new/{name}" if name else "new"


def _add(archive: tarfile.TarFile, path: Path, name: str, held: FileEntry) -> None:
    member = tarfile.TarInfo(name)
    try:
        state = path.stat()
        member.mode, member.mtime = stat.S_IMODE(state.st_mode), int(state.st_mtime)
        if not held.digest:
            member.type, member.mode = tarfile.DIRTYPE, member.mode | stat.S_IRWXU
            archive.addfile(member)
            return
        member.size = state.st_size
        source = path.open("rb")
    except OSError as error:
        raise DeviceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    with source:
        archive.addfile(member, source)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def unpack(stream: IO[bytes], new: Path, where: str, most_bytes: int) -> None:
    """Unpacks a folder that a device sent as a tar stream.

    A device is not trusted: nothing but files and folders, all of them below ``new``.

    Args:
        stream: The stream.
        new: The folder to make.
        where: What to call the device in an error.
        most_bytes: What its files may come to: a small stream can describe large ones.

    Raises:
        DeviceError: It holds something else, or too much.
        OSError: This machine did not let it be written.
    """
    new.mkdir()
    try:
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            room = most_bytes
            for member in archive:
                room -= member.size + tarfile.BLOCKSIZE
                if room < 0 or member.issparse():
                    what = f"it sent more than {most_bytes >> 20} MiB, or a file with holes"
                    raise DeviceError(what, where=where)
                _take(archive, member, new, where)
            stream.seek(archive.offset)  # what is no header ends it as well, and says nothing
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DeviceError("what it sent is no archive, or not all of one", where=where)
    except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
        raise DeviceError(f"what it sent cannot be read: {error}", where=where) from error


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, new: Path, where: str) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or not (member.isreg() or member.isdir()):
        what = f"it sent {member.name!r}, which is neither a file nor a folder to copy"
        raise DeviceError(what, where=where)
    target = new / name
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = archive.extractfile(member)
    if content is not None:
        with content, target.open("wb") as stream:
            shutil.copyfileobj(content, stream)
    target.chmod(stat.S_IMODE(member.mode) | stat.S_IRUSR | stat.S_IWUSR)
