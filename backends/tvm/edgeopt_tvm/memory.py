"""Where the values between kernels lie: one arena, shared by those that are not needed at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgeopt_tvm.executable import Buffer, Executable

__all__ = ["ALIGNMENT", "Arena", "plan_arena", "size_bytes"]

ALIGNMENT = 64
"""Bytes; kernels are compiled in the belief that every array starts at a multiple of it."""


@dataclass(frozen=True)
class Arena:
    """A plan.

    Attributes:
        offsets: Index of a temporary buffer to where it starts.
        size_bytes: Of the arena.
    """

    offsets: dict[int, int]
    size_bytes: int


@dataclass(frozen=True)
class _Life:
    """A buffer, its room, and the first and last step that touch it."""

    index: int
    room: int
    first: int
    last: int

    def meets(self, other: _Life) -> bool:
        return self.first <= other.last and other.first <= self.last


def size_bytes(buffer: Buffer) -> int:
    """Returns how many bytes the content of ``buffer`` has."""
    return math.prod(buffer.shape) * np.dtype(buffer.dtype).itemsize


def plan_arena(executable: Executable) -> Arena:
    """Returns where each temporary buffer lies: the largest first, each in the tightest gap.

    A step's inputs and outputs never overlap.
    """
    placed: list[tuple[int, _Life]] = []
    for life in sorted(_lives(executable), key=lambda life: (-life.room, life.first, life.index)):
        intervals = sorted(
            (start, start + other.room) for start, other in placed if other.meets(life)
        )
        placed.append((_gap(intervals, life.room), life))
    size = max((start + life.room for start, life in placed), default=0)
    return Arena({life.index: start for start, life in placed}, size)


def _lives(executable: Executable) -> list[_Life]:
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, step in enumerate(executable.steps):
        for index in map(executable.root, step.args):
            if executable.buffers[index].kind == "temporary":
                first.setdefault(index, number)
                last[index] = number
    return [_Life(i, _room(executable.buffers[i]), first[i], last[i]) for i in first]


def _room(buffer: Buffer) -> int:
    return -(-max(1, size_bytes(buffer)) // ALIGNMENT) * ALIGNMENT


def _gap(taken: list[tuple[int, int]], room: int) -> int:
    """Returns the start of the smallest gap between ``taken`` that holds ``room``, else their end."""
    best, least, end = -1, 0, 0
    for start, stop in taken:
        free = start - end
        if free >= room and (best < 0 or free < least):
            best, least = end, free
        end = max(end, stop)
    return best if best >= 0 else end
