"""A file as its difference from another one: programs that share weights hold them once.

A delta is ``EDGEOPTD``, the size of the whole in bytes and the number of its pieces (three times 8 bytes with
that), then for each piece where in the base it lies (-1: in the delta) and its size, then the pieces that
lie in the delta. Numbers are little-endian int64.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MAGIC", "MOST_TIMES", "apply_delta"]

MAGIC = b"EDGEOPTD"
_HEAD = 24
MOST_TIMES = 2
"""How many times as large as base and difference together a whole may be: a small file must not fill a disk."""


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """Returns the whole file.

    Args:
        base: The file that it is the difference from.
        delta: The difference.

    Raises:
        ValueError: It is no difference from that file.
    """
    if len(delta) < _HEAD or delta[:8] != MAGIC:
        raise ValueError("not a delta")
    size, count = (int(number) for number in np.frombuffer(delta, "<i8", 2, 8))
    start = _HEAD + 16 * count
    if (
        not 0 <= size <= MOST_TIMES * (len(base) + len(delta))
        or not 0 <= count <= len(delta) // 16
        or start > len(delta)
    ):
        raise ValueError("a delta of wrong size")
    parts, place, total = [], start, 0
    for offset, length in np.frombuffer(delta, "<i8", 2 * count, _HEAD).reshape(-1, 2).tolist():
        source, begin = (delta, place) if offset == -1 else (base, offset)
        total += length
        if length < 0 or begin < 0 or begin + length > len(source) or total > size:
            raise ValueError("a piece of a delta lies outside of its file")
        parts.append(memoryview(source)[begin : begin + length])
        place += length if offset == -1 else 0
    if total != size or place != len(delta):
        raise ValueError("a delta whose pieces do not make up the whole")
    return b"".join(parts)
