"""One trial, as the database keeps it. Plain data: reading it runs nothing."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import msgspec

from edgeopt.boundary import convert, decode_json
from edgeopt.errors import InputError

__all__ = ["STATUSES", "Key", "Record", "parse_record"]

Status = Literal["ok", "slower", "invalid", "wrong", "crashed", "hung"]

STATUSES: tuple[str, ...] = get_args(Status)
"""``ok``: right, and the fastest when it was tried (or the default); ``slower``: right, but not the
fastest; ``invalid``: could not be built; ``wrong``: computed something else; ``crashed`` and
``hung``: ended its process, or was ended."""

_MAX_TEXT = 1 << 16


class Key(msgspec.Struct, frozen=True):
    """What trials must have in common so that one can stand for another.

    Attributes:
        backend: Name of the backend that tried it.
        machine: The processor, as the backend writes it: JSON text with sorted keys.
        version: The toolchain, and the version of what its candidates are made from.
        workload: Digest of what is computed.
    """

    backend: str
    machine: str
    version: str
    workload: str


class Record(msgspec.Struct, frozen=True):
    """One trial.

    Attributes:
        key: What it was a trial of.
        choices: The candidate: a JSON object as text; ``default`` for the kernel without tuning.
        status: What came of it, see `STATUSES`.
        seconds: Time of one run, None where it did not run to the end.
        gain: How many times as fast as the default, measured in turn with it; 0 where it was not.
        name: What a person calls the kernel.
        detail: Why it failed; empty where it did not.
        created: When, in seconds since 1970.
    """

    key: Key
    choices: str
    status: Status
    seconds: float | None = None
    gain: float = 0.0
    name: str = ""
    detail: str = ""
    created: int = 0


def parse_record(plain: Any, *, where: str) -> Record:
    """Returns the record that ``plain`` describes, every field checked.

    Raises:
        InputError: It is none.
    """
    try:
        record = convert(plain, Record, where=where)
        _check(record)
    except (ValueError, InputError) as error:
        reason = error.what if isinstance(error, InputError) else error
        what = f"a record of a trial is damaged: {reason}"
        raise InputError(what, where=where, hint="take the file from where it was made") from error
    return record


def _check(record: Record) -> None:
    texts = (*msgspec.structs.astuple(record.key), record.choices, record.name, record.detail)
    if any(len(text) > _MAX_TEXT for text in texts):
        raise ValueError("a text is too long")
    if not all(msgspec.structs.astuple(record.key)):
        raise ValueError("a part of its key is empty")
    if record.choices != "default":
        try:
            decode_json(record.choices, dict[str, Any], where="choices")
        except InputError as error:
            raise ValueError(f"its choices are no JSON object: {error.what}") from error
    seconds = 0.0 if record.seconds is None else record.seconds
    if not all(math.isfinite(v) and v >= 0 for v in (seconds, record.gain)):
        raise ValueError("a time is not a number above zero")
