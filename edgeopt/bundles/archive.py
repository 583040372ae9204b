"""A bundle as one .zip, of which there is exactly one for the same files.

Members are stored, not compressed (int8 weights hardly shrink, and compressors differ by version),
in order, with fixed dates and permissions and nothing between or after them. The reader takes only
that form: so a changed byte anywhere is seen, nothing can blow up when unpacked, and what another
program unpacks is what was checked.
"""

from __future__ import annotations

import struct
import zipfile
from typing import IO, TYPE_CHECKING

from edgeopt.bundles.layout import file_mode
from edgeopt.bundles.paths import MAX_FILES
from edgeopt.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["check_zip", "write_zip"]

MAX_ZIP_BYTES = (1 << 32) - (1 << 24)  # larger ones would need another form of zip
_DATE = (1980, 1, 1, 0, 0, 0)
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_END = struct.Struct("<4s4H2LH")
_HINT = "only a .zip as edgeopt writes it is read; unpack another one and pass the folder"


def write_zip(stream: IO[bytes], files: Mapping[str, bytes]) -> None:
    """Writes ``files`` in their order.

    Raises:
        InputError: They are too large for a zip.
    """
    if sum(len(content) + 1024 for content in files.values()) > MAX_ZIP_BYTES:
        what = f"more than {MAX_ZIP_BYTES} bytes do not fit into a .zip"
        raise InputError(what, hint="write a folder")
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in files.items():
            archive.writestr(_member(name), content)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system = 3  # Unix: permissions follow
    member.external_attr = (0o100000 | file_mode(name)) << 16
    return member


def check_zip(path: Path) -> dict[str, int]:
    """Returns name to size of the members, after checking every byte that is not content.

    Raises:
        BundleError: It is not a zip as `write_zip` makes it.
    """
    where = path.name
    try:
        with path.open("rb") as stream:
            start = _check_end(stream, where)
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                if archive.start_dir != start:
                    raise BundleError("a directory of files in an odd place", where=where)
            offset, directory = 0, b""
            for member in members:
                entry, after = _check_member(stream, member, offset, where)
                directory, offset = directory + entry, after
            stream.seek(start)
            if offset != start or stream.read(len(directory) + 1) != directory + b"P":
                raise BundleError("its directory of files is damaged", where=where, hint=_HINT)
    except (OSError, zipfile.BadZipFile, struct.error, ValueError, RuntimeError) as error:
        raise BundleError(f"not a whole .zip: {error}", where=where, hint=_HINT) from error
    sizes = {member.filename: member.file_size for member in members}
    if len(sizes) != len(members):
        raise BundleError("a file is there twice", where=where, hint=_HINT)
    return sizes


def _check_end(stream: IO[bytes], where: str) -> int:
    """Returns where the directory of files starts; it must end at the end of the file."""
    total = stream.seek(0, 2)
    tail = min(total, 20 + _END.size)
    stream.seek(total - tail)
    end = stream.read(tail)
    if len(end) < _END.size:
        raise BundleError("too short for a .zip", where=where)
    fields = _END.unpack(end[-_END.size :])
    count, size, start = fields[4], fields[5], fields[6]
    if fields != (b"PK\5\6", 0, 0, count, count, size, start, 0) or end.startswith(b"PK\6\7"):
        raise BundleError("not a .zip, or its end is damaged", where=where, hint=_HINT)
    if count > MAX_FILES + 1 or size > count * (_CENTRAL.size + 1024):
        raise BundleError(f"a directory of {count} files in {size} bytes", where=where, hint=_HINT)
    if start + size + _END.size != total:
        raise BundleError("bytes before or after the archive", where=where, hint=_HINT)
    return int(start)


def _check_member(
    stream: IO[bytes], member: zipfile.ZipInfo, offset: int, where: str
) -> tuple[bytes, int]:
    """Returns the member's entry as the directory must have it, and where the next one starts."""
    expected = _member(member.filename)
    expected.CRC = member.CRC
    expected.file_size = expected.compress_size = member.file_size
    try:
        header = expected.FileHeader(zip64=False)
    except zipfile.LargeZipFile as error:
        what = (
            f"{member.filename}: {member.file_size} bytes are more than a .zip of this form holds"
        )
        raise BundleError(what, where=where, hint=_HINT) from error
    stream.seek(offset)
    if stream.read(len(header)) != header:
        what = f"{member.filename}: its header is not as edgeopt writes it"
        raise BundleError(what, where=where, hint=_HINT)
    return _entry(expected, offset), offset + len(header) + member.file_size


def _entry(member: zipfile.ZipInfo, offset: int) -> bytes:
    name = member.filename.encode("ascii")
    versions = (member.create_version, member.create_system, member.extract_version, 0)
    dos_date = 1 | 1 << 5  # 1980-01-01: day, month, and years since 1980
    sizes = (member.CRC, member.compress_size, member.file_size)
    tail = (len(name), 0, 0, 0, 0, member.external_attr, offset)
    return _CENTRAL.pack(b"PK\1\2", *versions, 0, 0, 0, dos_date, *sizes, *tail) + name
