"""Values as C source."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["c_array", "c_text"]


def c_array(name: str, values: Iterable[int], kind: str = "int32_t") -> str:
    """Returns the definition of a constant array; one zero where there are no values."""
    return f"static const {kind} {name}[] = {{{', '.join(map(str, values)) or '0'}}};"


def c_text(value: str) -> str:
    """Returns a C string literal; what is no letter, digit, or of these few is escaped."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:- "
    return '"' + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in value.encode()) + '"'
