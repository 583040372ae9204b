"""Trials as text, one JSON object a line, for other machines and other eyes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError
from edgeopt.files import write_file
from edgeopt.tuning.database import TuningDatabase
from edgeopt.tuning.record import parse_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from edgeopt.tuning.record import Record

__all__ = ["export_records", "read_records"]

HEADER = {"format": "edgeopt-tuning", "version": 1}
_SQLITE = b"SQLite format 3\x00"
_MAX_BYTES = 1 << 30


def export_records(records: Iterable[Record], path: Path) -> int:
    """Returns how many records were written to ``path``, which then is whole.

    Raises:
        InputError: It cannot be written.
    """
    lines = [msgspec.json.encode(record) for record in records]
    text = b"\n".join([msgspec.json.encode(HEADER), *lines]) + b"\n"
    try:
        write_file(path.absolute(), text)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    return len(lines)


def read_records(path: Path) -> list[Record]:
    """Returns every record of a database, or of a file that `export_records` wrote.

    Raises:
        InputError: It is neither, or damaged; the line is named.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(_SQLITE)) == _SQLITE:
                with TuningDatabase(path, write=False) as database:
                    return list(database.records())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    lines = bytes(read_file(path, most=_MAX_BYTES)).splitlines()
    return list(_parsed(lines, str(path)))


def _parsed(lines: list[bytes], where: str) -> Iterator[Record]:
    if not lines or _json(lines[0]) != HEADER:
        what = "this is neither a tuning database nor an export of one"
        hint = "edgeopt tuning export writes one"
        raise InputError(what, where=where, hint=hint)
    for number, line in enumerate(lines[1:], 2):
        yield parse_record(_json(line), where=f"{where}, line {number}")


def _json(line: bytes) -> Any:
    try:
        return decode_json(line, Any, where="")
    except InputError:
        return None
