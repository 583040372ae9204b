"""Decodes text from outside into declared types."""

from __future__ import annotations

import math
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from edgeopt.errors import EdgeoptError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["convert", "decode_json", "decode_toml", "decode_yaml", "refusing"]

T = TypeVar("T")
Bytes = bytes | bytearray | memoryview
MAX_JSON = 64 << 20
MAX_TOML = 1 << 20
MAX_DEPTH = 24
_RAISED = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError, OverflowError)
"""What the parsers raise for bytes of any kind: too deep, numbers too long, no UTF-8 among it."""


@overload
def decode_json(
    content: Bytes | str,
    kind: type[T],
    *,
    where: str,
    most: int = ...,
    error: type[EdgeoptError] = ...,
    hint: str | None = ...,
    prefix: str = ...,
) -> T: ...
@overload
def decode_json(
    content: Bytes | str,
    kind: Any,
    *,
    where: str,
    most: int = ...,
    error: type[EdgeoptError] = ...,
    hint: str | None = ...,
    prefix: str = ...,
) -> Any: ...
def decode_json(  # noqa: PLR0913 (what an error says, by name)
    content: Bytes | str,
    kind: Any,
    *,
    where: str,
    most: int = MAX_JSON,
    error: type[EdgeoptError] = InputError,
    hint: str | None = None,
    prefix: str = "",
) -> Any:
    """Returns JSON text as a value of ``kind``.

    Args:
        content: UTF-8.
        kind: A type that msgspec knows; `Any` for whatever it holds.
        where: The file or the device, for the error.
        most: The largest size in bytes.
        error: What to raise.
        hint: What to do next, for the error.
        prefix: What the error begins with.

    Raises:
        EdgeoptError: It is not JSON, of another type, nested too deep, or too large.
    """
    _check_size(content, most, where, error, hint)
    try:
        return msgspec.json.decode(content, type=kind)
    except _RAISED as refused:
        raise error(prefix + _said(refused), where=where, hint=hint) from refused


def decode_toml(
    content: Bytes,
    *,
    where: str,
    most: int = MAX_TOML,
    error: type[EdgeoptError] = InputError,
    hint: str | None = None,
) -> dict[str, Any]:
    """Returns the tables of a TOML text.

    Args:
        content: UTF-8.
        where: The file, for the error.
        most: The largest size in bytes.
        error: What to raise.
        hint: What to do next, for the error.

    Raises:
        EdgeoptError: It is not TOML, nested too deep, or too large.
    """
    _check_size(content, most, where, error, hint)
    try:
        tables = tomllib.loads(bytes(content).decode("utf-8"))
        _check_values(tables)
    except _RAISED as refused:
        raise error(f"is not valid TOML: {_said(refused)}", where=where, hint=hint) from refused
    return tables


def decode_yaml(
    content: Bytes, *, where: str, most: int = MAX_TOML, error: type[EdgeoptError] = InputError
) -> Any:
    """Returns what a YAML text says: texts, numbers, lists and tables; nothing is built of tags.

    Args:
        content: UTF-8.
        where: The file, for the error.
        most: The largest size in bytes.
        error: What to raise.

    Raises:
        EdgeoptError: It is not YAML, has tags or references (which can grow without end), is nested too
            deep, or too large.
    """
    import yaml  # noqa: PLC0415 (comes with the libraries that write such files)

    _check_size(content, most, where, error, None)
    try:
        text = bytes(content).decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise ValueError("references (*name) are not read")
        value = yaml.safe_load(text)
        _check_values({"": value})
    except (*_RAISED, yaml.YAMLError) as refused:
        raise error(f"is not valid YAML: {_said(refused)}", where=where) from refused
    return value


def _check_values(tables: dict[str, Any]) -> None:
    """Numbers are of 64 bits, as TOML says, and finite; nothing is nested beyond what people write."""
    todo: list[tuple[Any, int]] = [(tables, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("a number of more than 64 bits")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"a number that is {value}")
        if isinstance(value, dict | list):
            parts = value.values() if isinstance(value, dict) else value
            todo += [(part, depth + 1) for part in parts]


def convert(
    plain: Any,
    kind: type[T],
    *,
    where: str,
    error: type[EdgeoptError] = InputError,
    hint: str | None = None,
) -> T:
    """Returns plain values (of JSON, TOML or a database) as a value of ``kind``.

    Args:
        plain: Dicts, lists, texts, numbers.
        kind: A type that msgspec knows.
        where: Where they come from, for the error.
        error: What to raise.
        hint: What to do next, for the error.

    Raises:
        EdgeoptError: They are of another type.
    """
    try:
        return msgspec.convert(plain, kind)
    except _RAISED as refused:
        raise error(_said(refused), where=where, hint=hint) from refused


@contextmanager
def refusing(
    where: str, *, error: type[EdgeoptError] = InputError, prefix: str = ""
) -> Iterator[None]:
    """Turns what arithmetic raises on values from outside (of the right type) into an error of ours.

    Args:
        where: Where the values come from.
        error: What to raise.
        prefix: What the error begins with.

    Raises:
        EdgeoptError: The values do not fit each other.
    """
    try:
        yield
    except (*_RAISED, ArithmeticError, LookupError, TypeError, AttributeError) as refused:
        raise error(prefix + _said(refused), where=where) from refused


def _check_size(
    content: Bytes | str, most: int, where: str, error: type[EdgeoptError], hint: str | None
) -> None:
    length = len(content) if isinstance(content, str) else memoryview(content).nbytes
    if length > most:
        raise error(f"{length} bytes, more than {most}", where=where, hint=hint)


def _said(refused: BaseException) -> str:
    """Returns what a parser said, in few words."""
    if isinstance(refused, RecursionError):
        return "nested too deep"
    if isinstance(refused, UnicodeError):
        return f"no UTF-8 text: {refused}"[:500]
    if "int_max_str_digits" in str(refused):
        return "a number of too many digits"
    return (str(refused) or type(refused).__name__)[:500]
