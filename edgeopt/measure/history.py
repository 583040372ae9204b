"""The history of measurements: one file of the user's, one JSON object a line."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError
from edgeopt.files import data_folder, is_shut, locked
from edgeopt.measure.record import Record
from edgeopt.measure.statistics import Ratio, ratio_of

__all__ = ["Change", "append", "changes", "history_path", "read_history"]

_NEWLINE = b"\n"
_MAX_BYTES = 1 << 30


class Change(msgspec.Struct, frozen=True):
    """A measurement beside the one before it of an earlier version.

    Attributes:
        before: The last measurement of the version before.
        after: The measurement.
        ratio: Time after over time before.
    """

    before: Record
    after: Record
    ratio: Ratio

    @property
    def regressed(self) -> bool:
        """Whether it became slower, as far as the intervals of both can tell."""
        return self.ratio.verdict == "slower"


def history_path() -> Path | None:
    """Returns the file; None where ``EDGEOPT_HISTORY`` is ``none``.

    It is ``$EDGEOPT_HISTORY``, else ``edgeopt/history.jsonl`` in the user's data folder.
    """
    setting = os.environ.get("EDGEOPT_HISTORY", "")
    if setting:
        return None if setting == "none" else Path(setting).expanduser().absolute()
    return data_folder() / "history.jsonl"


def append(record: Record, path: Path | None = None) -> bool:
    """Returns whether ``record`` was added; several processes may do so at once.

    What a process left half-written that was killed is closed with a newline first.

    Args:
        record: What to add.
        path: The file; None takes the user's own.

    Raises:
        InputError: It cannot be written.
    """
    place = path or history_path()
    if place is None:
        return False
    line = msgspec.json.encode(record) + _NEWLINE
    with locked(place.with_name(f".{place.name}.lock")):
        try:
            with place.open("a+b") as stream:
                stream.seek(0, os.SEEK_END)
                if stream.tell():
                    stream.seek(-1, os.SEEK_END)
                    line = line if stream.read(1) == _NEWLINE else _NEWLINE + line
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            hint = "EDGEOPT_HISTORY=none keeps none"
            what = f"the history cannot be written: {error.strerror}"
            raise InputError(what, where=str(place), hint=hint) from error
    return True


def read_history(path: Path | None = None) -> tuple[list[Record], int]:
    """Returns the records, the oldest first, and how many lines could not be read.

    Raises:
        InputError: The file cannot be read.
    """
    place = path or history_path()
    try:
        if place is None or is_shut(place) or not place.exists():
            return [], 0
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(place)) from error
    lines = bytes(read_file(place, most=_MAX_BYTES)).split(_NEWLINE)
    records, damaged = [], 0
    for line in lines:
        if not line.strip():
            continue
        try:
            records.append(decode_json(line, Record, where=str(place)))
        except InputError:
            damaged += 1
    return records, damaged


def changes(records: list[Record]) -> list[Change]:
    """Returns each measurement of a new version beside the last of the version before.

    A version is a bundle: another digest is another version. Measurements of the same bundle
    follow each other without a change.
    """
    last: dict[tuple[str, ...], Record] = {}
    results = []
    for record in records:
        before = last.get(record.series)
        if before is not None and before.digest != record.digest:
            results.append(Change(before, record, ratio_of(record.latency, before.latency)))
        last[record.series] = record
    return results
