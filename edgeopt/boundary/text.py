"""Decodes text from outside into declared types."""

from __future__ import annotations

from typing import Any, TypeVar, overload

import msgspec

from edgeopt.errors import EdgeoptError, InputError

__all__ = ["decode_json"]

T = TypeVar("T")
Bytes = bytes | bytearray | memoryview
MAX_JSON = 64 << 20
_RAISED = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError, OverflowError)
"""What msgspec raises for bytes of any kind: too deep, numbers too long, no UTF-8 among it."""


@overload
def decode_json(
    content: Bytes | str,
    kind: type[T],
    *,
    where: str,
    most: int = ...,
    error: type[EdgeoptError] = ...,
    hint: str | None = ...,
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
) -> Any: ...
def decode_json(
    content: Bytes | str,
    kind: Any,
    *,
    where: str,
    most: int = MAX_JSON,
    error: type[EdgeoptError] = InputError,
    hint: str | None = None,
) -> Any:
    """Returns JSON text as a value of ``kind``.

    Args:
        content: UTF-8.
        kind: A type that msgspec knows; `Any` for whatever it holds.
        where: The file or the device, for the error.
        most: The largest size in bytes.
        error: What to raise.
        hint: What to do next, for the error.

    Raises:
        EdgeoptError: It is not JSON, of another type, nested too deep, or too large.
    """
    length = len(content) if isinstance(content, str) else memoryview(content).nbytes
    if length > most:
        raise error(f"{length} bytes, more than {most}", where=where, hint=hint)
    try:
        return msgspec.json.decode(content, type=kind)
    except _RAISED as refused:
        said = str(refused) or type(refused).__name__
        raise error(said[:500], where=where, hint=hint) from refused
