"""Reads a zip that can be seen in one way only: members stored, one after the other, no more.

Readers of zips disagree where a file has two directories, bytes in between, names that differ in
case, or headers that contradict the directory: what one checks is not what the other unpacks. Such
files are refused. Nothing is compressed, so nothing can blow up.
Source: APPNOTE.TXT 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from edgeopt.errors import EdgeoptError, InputError

__all__ = ["stored_members"]

MAX_MEMBERS = 100_000
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA = struct.Struct("<2H")
_FULL = 0xFFFFFFFF
_DESCRIPTOR, _UTF8 = 0x8, 0x800
_SIZES_ID, _PADDING_ID = 1, 0x4246
"""Of extra fields: 64-bit sizes, and what torch fills up with so that weights are aligned."""
_HINT = "only a .zip that is stored (not compressed), with nothing else around it, is read"


class _Damaged(Exception):  # noqa: N818 (never leaves this module)
    pass


class _Entry(NamedTuple):
    name: str
    flags: int
    crc: int
    size: int
    offset: int


def stored_members(
    content: bytes | bytearray | memoryview, *, where: str, error: type[EdgeoptError] = InputError
) -> dict[str, memoryview]:
    """Returns name to content of the members of a zip; the contents are views, not copies.

    Raises:
        EdgeoptError: It is not a zip of which there is one view.
    """
    view = memoryview(content)
    try:
        start, entries = _directory(view)
        members, at = {}, 0
        for entry in entries:
            if entry.offset != at:
                raise _Damaged(f"bytes before {entry.name!r} that belong to no file")
            data, at = _member(view[:start], entry)
            members[entry.name] = data
        if at != start:
            raise _Damaged("bytes before the directory of files that belong to no file")
    except (_Damaged, struct.error, UnicodeDecodeError) as damage:
        raise error(f"not a whole .zip: {damage}", where=where, hint=_HINT) from damage
    return members


def _directory(view: memoryview) -> tuple[int, list[_Entry]]:
    end = len(view) - _END.size
    if end < 0:
        raise _Damaged("too short")
    magic, disk, first, count, total, size, start, comment = _END.unpack_from(view, end)
    if magic != b"PK\5\6" or comment or disk or first or count != total:
        raise _Damaged("no directory of files at its end")
    if end >= _LOCATOR.size and bytes(view[end - _LOCATOR.size :][:4]) == b"PK\6\7":
        end, wide = _wide_end(view, end)
        for narrow, value, full in zip(
            (count, size, start), wide, (0xFFFF, _FULL, _FULL), strict=True
        ):
            if narrow not in (value, full):
                raise _Damaged("two directories of files")
        count, size, start = wide
    if start + size != end or count > MAX_MEMBERS or count * _CENTRAL.size > size:
        raise _Damaged("a directory of files in an odd place")
    entries, at = [], start
    for _ in range(count):
        entry, at = _central(view[:end], at)
        entries.append(entry)
    if at != end:
        raise _Damaged("bytes after the directory of files")
    folded = {entry.name.casefold() for entry in entries}
    if len(folded) != count:
        raise _Damaged("two files of one name (upper and lower case are the same)")
    return start, entries


def _wide_end(view: memoryview, end: int) -> tuple[int, tuple[int, int, int]]:
    """Returns where the 64-bit end record starts, and count, size and start of the directory."""
    at = end - _LOCATOR.size - _END64.size
    if at < 0:
        raise _Damaged("too short")
    magic, length, _, _, disk, first, count, total, size, start = _END64.unpack_from(view, at)
    locator = _LOCATOR.unpack_from(view, end - _LOCATOR.size)
    fits = magic == b"PK\6\6" and length == _END64.size - 12 and not disk and not first
    if not fits or count != total or locator != (b"PK\6\7", 0, at, 1):
        raise _Damaged("its 64-bit end is damaged")
    return at, (count, size, start)


def _central(view: memoryview, at: int) -> tuple[_Entry, int]:
    fields = _CENTRAL.unpack_from(view, at)
    magic, flags, method, crc, packed, size = fields[0], *fields[5:7], *fields[9:12]
    name_size, extra_size, comment, disk, _, _, offset = fields[12:]
    name_at = at + _CENTRAL.size
    after = name_at + name_size + extra_size
    if magic != b"PK\1\2" or after > len(view) or comment or disk:
        raise _Damaged("its directory of files is damaged")
    name = _name(bytes(view[name_at : name_at + name_size]))
    if method or flags & ~(_DESCRIPTOR | _UTF8):
        raise _Damaged(f"{name!r} is compressed or encrypted")
    extra = bytes(view[name_at + name_size : after])
    packed, size, offset = _wide(extra, [packed, size, offset])
    if packed != size:
        raise _Damaged(f"{name!r} has two sizes")
    return _Entry(name, flags, crc, size, offset), after


def _wide(extra: bytes, values: list[int]) -> list[int]:
    """Returns the values, those that do not fit into 32 bits from the extra field."""
    full = [place for place, value in enumerate(values) if value == _FULL]
    length = 8 * len(full)
    head = _EXTRA.pack(_SIZES_ID, length) if full else b""
    if extra[:4] != head or len(extra) != len(head) + length:
        raise _Damaged("an extra field of an odd kind")
    for place, value in zip(full, struct.unpack(f"<{len(full)}Q", extra[len(head) :]), strict=True):
        values[place] = value
    return values


def _name(raw: bytes) -> str:
    name = raw.decode("utf-8")
    parts = name.split("/")
    odd = "\\" in name or ":" in name or not name.isprintable()
    if odd or any(part in ("", ".", "..") for part in parts):
        raise _Damaged(f"a file is called {name[:80]!r}")
    return name


def _member(view: memoryview, entry: _Entry) -> tuple[memoryview, int]:
    """Returns the member's content, and where the next one has to start."""
    fields = _LOCAL.unpack_from(view, entry.offset)
    magic, flags, method, crc, packed, size, name_size, extra_size = (
        *fields[:1],
        *fields[2:4],
        *fields[6:],
    )
    name_at = entry.offset + _LOCAL.size
    extra_at = name_at + name_size
    data_at = extra_at + extra_size
    end = data_at + entry.size
    streamed = bool(flags & _DESCRIPTOR)
    same = (magic, flags, method) == (b"PK\3\4", entry.flags, 0)
    named = bytes(view[name_at:extra_at]) == entry.name.encode()
    facts = {(entry.crc, entry.size, entry.size), (entry.crc, _FULL, _FULL)}
    if streamed:
        facts.add((0, 0, 0))
    if not same or not named or (crc, packed, size) not in facts or end > len(view):
        raise _Damaged(f"{entry.name!r}: its header is not what the directory says")
    _check_extra(bytes(view[extra_at:data_at]), entry)
    if zlib.crc32(view[data_at:end]) != entry.crc:
        raise _Damaged(f"{entry.name!r}: its content does not fit its checksum")
    return view[data_at:end], end + (_descriptor(view, entry, end) if streamed else 0)


def _check_extra(extra: bytes, entry: _Entry) -> None:
    while extra:
        kind, length = _EXTRA.unpack_from(extra)
        if kind not in (_SIZES_ID, _PADDING_ID) or len(extra) < 4 + length:
            raise _Damaged(f"{entry.name!r}: an extra field of an odd kind")
        if kind == _SIZES_ID and extra[4 : 4 + length] not in (
            struct.pack("<2Q", entry.size, entry.size),
            struct.pack("<2Q", 0, 0),
        ):
            raise _Damaged(f"{entry.name!r} has two sizes")
        extra = extra[4 + length :]


def _descriptor(view: memoryview, entry: _Entry, at: int) -> int:
    """Returns the length of what follows a member that was written as a stream."""
    for form in ("<4s3L", "<4sL2Q"):
        length = struct.calcsize(form)
        if entry.size > _FULL and not form.endswith("Q"):
            continue
        expected = struct.pack(form, b"PK\7\x08", entry.crc, entry.size, entry.size)
        if bytes(view[at : at + length]) == expected:
            return length
    raise _Damaged(f"{entry.name!r}: what follows it is damaged")
