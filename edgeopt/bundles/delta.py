"""Makes the difference of a file from another one, as `edgeopt_runner.delta` reads it.

Blocks of the base are found again anywhere in the new file by a hash of each window (Karp and Rabin 1987, as
rsync does), and grown in both directions; each is compared byte by byte before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.bundles.device.edgeopt_runner.delta import MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    Blocks = tuple[np.ndarray, np.ndarray]
    """Hashes of blocks, sorted, and the number of each block."""

__all__ = ["DeltaBase"]

BLOCK = 64
"""Bytes that must be the same in a row before they are looked at."""
STRIDE = 1 << 16
"""Windows that are hashed at once."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15 | 1)


@dataclass(frozen=True, eq=False)
class DeltaBase:
    """A file that others are stored as differences from; its blocks are hashed once for all of them.

    Attributes:
        content: The file.
    """

    content: bytes

    def delta(self, whole: bytes) -> bytes:
        """Returns the difference of ``whole`` from this file; `apply_delta` makes the whole of it again."""
        base = np.frombuffer(self.content, np.uint8)
        pieces = list(_pieces(base, self._blocks, np.frombuffer(whole, np.uint8)))
        table = np.array([(offset, size) for offset, size, _ in pieces], "<i8").reshape(-1, 2)
        literals = [whole[at : at + size] for offset, size, at in pieces if offset == -1]
        head = MAGIC + np.array([len(whole), len(pieces)], "<i8").tobytes()
        return b"".join([head, table.tobytes(), *literals])

    @cached_property
    def _blocks(self) -> Blocks:
        hashes = _hashes(np.frombuffer(self.content, np.uint8), step=BLOCK)
        blocks, places = np.unique(hashes, return_index=True)
        return blocks, places


def _pieces(base: np.ndarray, known: Blocks, whole: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yields (place in ``base`` or -1, size, place in ``whole``) of each piece."""
    blocks, places = known
    done = at = 0
    while at + BLOCK <= len(whole):
        match = _first_match(whole[at : at + STRIDE + BLOCK - 1], blocks)
        if match is None:
            at += STRIDE
            continue
        at += match[0]
        source = int(places[match[1]]) * BLOCK
        size = _common(base[source:], whole[at:])
        if size < BLOCK:  # another block with the same hash
            at += 1
            continue
        before = _common(base[:source][::-1], whole[done:at][::-1])
        if at - before > done:
            yield -1, at - before - done, done
        yield source - before, size + before, at - before
        done = at = at + size
    if done < len(whole):
        yield -1, len(whole) - done, done


def _first_match(part: np.ndarray, blocks: np.ndarray) -> tuple[int, int] | None:
    """Returns the first window whose hash is one of the sorted ``blocks``, and which."""
    if not len(blocks):
        return None
    windows = _hashes(part, step=1)
    places = np.searchsorted(blocks, windows)
    places[places == len(blocks)] = 0
    hits = np.flatnonzero(blocks[places] == windows)
    return (int(hits[0]), int(places[hits[0]])) if len(hits) else None


def _hashes(data: np.ndarray, *, step: int) -> np.ndarray:
    """Returns the hash of each window of `BLOCK` bytes, at every ``step``-th place.

    That of a window twice as long is made of those of its halves.
    """
    if len(data) < BLOCK:
        return np.empty(0, np.uint64)
    if step == BLOCK:
        hashes = data[: len(data) // BLOCK * BLOCK].astype(np.uint64).reshape(-1, BLOCK)
    else:
        hashes = data.astype(np.uint64)
    factor, size = _FACTOR, 1
    with np.errstate(over="ignore"):
        while size < BLOCK:
            if step == BLOCK:
                hashes = hashes[:, ::2] * factor + hashes[:, 1::2]
            else:
                hashes = hashes[:-size] * factor + hashes[size:]
            factor, size = factor * factor, 2 * size
    return hashes.reshape(-1)


def _common(one: np.ndarray, other: np.ndarray) -> int:
    """Returns how many bytes from the start on are the same in both."""
    limit, size, step = min(len(one), len(other)), 0, 256
    while size < limit:
        end = min(size + step, limit)
        unlike = np.flatnonzero(one[size:end] != other[size:end])
        if len(unlike):
            return size + int(unlike[0])
        size, step = end, min(2 * step, 1 << 24)
    return limit
