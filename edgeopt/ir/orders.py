"""Orders of dimensions: how a value's memory relates to its shape in the program.

An order is a tuple with the logical dimension that each position in memory holds, the slowest
first. A value of logical shape (N, C, H, W) kept channels-last has the order (0, 2, 3, 1).
Dimensions of size 1 may stand anywhere: only the sequence of the others is in the memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "NHWC",
    "channels_last",
    "identity",
    "merged_transpose",
    "permuted",
    "reduced",
    "reshaped",
    "same_memory",
    "stored_shape",
    "with_last",
]

Order = tuple[int, ...]
Shape = tuple[int, ...]

NHWC: Order = (0, 2, 3, 1)


def identity(rank: int) -> Order:
    """Returns the order of a value that is stored as the program has it."""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """Returns the order with dimension 1 last: (0, 2, 3, 1) for rank 4."""
    return (0, *range(2, rank), 1) if rank > 2 else identity(rank)  # noqa: PLR2004


def with_last(order: Order, axis: int) -> Order:
    """Returns ``order`` with ``axis`` moved to the end."""
    return (*(d for d in order if d != axis), axis)


def stored_shape(shape: Sequence[int], order: Order) -> Shape:
    """Returns the shape in memory of a value of logical ``shape``."""
    return tuple(shape[d] for d in order)


def sequence(shape: Sequence[int], order: Order) -> Order:
    """Returns the order without the dimensions of size 1."""
    return tuple(d for d in order if shape[d] != 1)


def same_memory(shape: Sequence[int], a: Order, b: Order) -> bool:
    """Returns whether both orders put a value of ``shape`` into memory alike."""
    return sequence(shape, a) == sequence(shape, b)


def permuted(order: Order, axes: Sequence[int]) -> Order:
    """Returns the order of ``permute(x, axes)`` that leaves the memory of ``x`` as it is."""
    return tuple(list(axes).index(d) for d in order)


def reduced(order: Order, axes: Iterable[int]) -> Order:
    """Returns the order after the dimensions ``axes`` are dropped and the others renumbered."""
    gone = set(axes)
    dims = [d for d in range(len(order)) if d not in gone]
    return tuple(dims.index(d) for d in order if d not in gone)


def reshaped(shape: Shape, order: Order, new: Shape) -> Order | None:
    """Returns the order of ``reshape(x, new)`` that leaves the memory of ``x`` as it is.

    None where there is none: the reshape then joins dimensions that are apart in memory.
    """
    if math.prod(shape) == 0:
        return identity(len(new))
    place = {d: i for i, d in enumerate(sequence(shape, order))}
    placed: list[tuple[int, list[int]]] = []
    for old_dims, new_dims in _groups(shape, new):
        where = [place[d] for d in old_dims]
        if where != list(range(where[0], where[0] + len(where))):
            return None
        placed.append((where[0], new_dims))
    new_order = [d for _, dims in sorted(placed) for d in dims]
    return _with_ones(new, new_order)


def _groups(shape: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Splits two shapes into the smallest runs of dimensions with equal products."""
    old_left = [d for d, n in enumerate(shape) if n != 1]
    new_left = [d for d, n in enumerate(new) if n != 1]
    groups = []
    while old_left:
        a, b = [old_left.pop(0)], [new_left.pop(0)]
        left, right = shape[a[0]], new[b[0]]
        while left != right:
            if left < right:
                a.append(old_left.pop(0))
                left *= shape[a[-1]]
            else:
                b.append(new_left.pop(0))
                right *= new[b[-1]]
        groups.append((a, b))
    return groups


def _with_ones(shape: Shape, kept: list[int]) -> Order:
    """Adds the dimensions of size 1: the first ones first, others in front of the next larger."""
    leading = 0
    while leading < len(shape) and shape[leading] == 1:
        leading += 1
    result = list(kept)
    for d in reversed([d for d, n in enumerate(shape) if n == 1 and d >= leading]):
        following = [result.index(e) for e in range(d + 1, len(shape)) if e in result]
        result.insert(following[0] if following else len(result), d)
    return (*range(leading), *result)


def merged_transpose(shape: Sequence[int], old: Order, new: Order) -> tuple[Shape, Order]:
    """Returns the least transposition from memory in ``old`` order to memory in ``new`` order.

    Dimensions of size 1 are left out, and those that stay neighbours are one.

    Returns:
        The shape of the memory before, and the axes in their new sequence.
    """
    before, after = sequence(shape, old), sequence(shape, new)
    runs: list[list[int]] = []
    for d in before:
        joined = bool(runs) and _follows(after, runs[-1][-1], d)
        (runs[-1].append(d) if joined else runs.append([d]))
    heads = [run[0] for run in runs]
    axes = tuple(heads.index(d) for d in after if d in heads)
    return tuple(math.prod(shape[d] for d in run) for run in runs), axes


def _follows(after: Order, first: int, second: int) -> bool:
    at = after.index(first)
    return at + 1 < len(after) and after[at + 1] == second
