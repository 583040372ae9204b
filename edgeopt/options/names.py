"""Names of classes, as people keep them: a list, a table of numbers to names, or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError

__all__ = ["is_names", "names", "read_names"]

_LARGEST = 1 << 24
_EXPECTED = "a list of names, a table of numbers to names, or a file with one name a line"


def is_names(value: Any) -> bool:
    """Returns whether something may be names, or say where they are."""
    if isinstance(value, (str, Path, Mapping)):
        return True
    return isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)


def names(value: Any) -> tuple[str, ...]:
    """Returns the names in their order.

    Args:
        value: A list; a table of number (0, 1, ...) to name, ``model.config.id2label`` for example;
            or the path of a file, as `read_names` takes it.

    Raises:
        InputError: The table leaves a number out, or the file holds no names.
    """
    if isinstance(value, (str, Path)):
        return read_names(value)
    return _by_number(value) if isinstance(value, Mapping) else tuple(value)


def read_names(path: Path | str) -> tuple[str, ...]:
    """Returns the names in a file: one a line, or a ``.json`` of a list or of a table of numbers to names.

    Raises:
        InputError: It is not there, is no text, or holds none.
    """
    place = Path(path)
    if not place.is_file():
        what = "it is a folder" if place.is_dir() else "no such file"
        raise InputError(f"{what}: {path}", hint=_EXPECTED)
    content = read_file(place, most=_LARGEST, error=InputError)
    if place.suffix.lower() == ".json":
        decoded = decode_json(content, kind=Any, where=str(path), error=InputError)
        if not is_names(decoded) or isinstance(decoded, str):
            raise InputError(f"no names in it: {path}", hint=_EXPECTED)
        return names(decoded)
    try:
        text = bytes(content).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not a text in UTF-8: {path}", hint=_EXPECTED) from error
    rows = tuple(line.strip() for line in text.rstrip().splitlines())
    if not rows:
        raise InputError(f"there is no name in it: {path}", hint=_EXPECTED)
    return rows


def _by_number(table: Mapping[Any, Any]) -> tuple[str, ...]:
    try:
        by_number = {int(key): value for key, value in table.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"a key is no number: {error}", hint=_EXPECTED) from error
    lacking = [number for number in range(len(table)) if number not in by_number]
    if lacking:
        raise InputError(f"there is no name for class {lacking[0]}", hint=_EXPECTED)
    if not all(isinstance(value, str) for value in by_number.values()):
        raise InputError("a name is no text", hint=_EXPECTED)
    return tuple(by_number[number] for number in range(len(table)))
