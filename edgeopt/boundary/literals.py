"""Texts and numbers from outside as literals of other languages. What is no plain character is escaped.

A model's names, labels and paths are whatever somebody wrote: in generated source they may be nothing
but values. They never stand in comments.
"""

from __future__ import annotations

import re

__all__ = ["c_float", "c_string", "identifier", "kotlin_string"]

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:;/()+-= ")


def c_string(text: str) -> str:
    """Returns a literal of C and C++, in UTF-8; escapes are octal of three digits, so that none goes on."""
    return '"' + "".join(chr(c) if c in _PLAIN else f"\\{c:03o}" for c in text.encode()) + '"'


def kotlin_string(text: str) -> str:
    """Returns a literal of Kotlin (and of Java): escapes are of UTF-16 units."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [units[n] << 8 | units[n + 1] for n in range(0, len(units), 2)]
    return '"' + "".join(chr(c) if c in _PLAIN else f"\\u{c:04x}" for c in codes) + '"'


def c_float(value: float) -> str:
    """Returns a literal of C, C++ and Kotlin that is ``value`` in single precision."""
    import numpy as np  # noqa: PLC0415 (only here)

    text = str(np.float32(value))
    return f"{text}f" if set(text) & set(".e") else f"{text}.0f"


def identifier(text: str, usual: str = "model") -> str:
    """Returns a name that any language takes: letters, digits and ``_``, at most 60, a letter first."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:60]
    return words if words and words[0].isalpha() else f"{usual}_{words}".rstrip("_")
