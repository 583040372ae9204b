"""Numbers to try a kernel on: whole ranges, extremes, and memory around them that must not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SIZES", "Guarded", "Parameter", "parameters", "random_inputs", "sizes_of"]

SIZES = "edgeopt.sizes"
"""Attribute of a kernel: how large the floats of each input are that it is tried on, where that matters."""
GUARD = 256
"""Bytes before and behind each array."""
_MARK = 0xA5
_ALIGN = 64
_ON_GRID = 2
"""Bytes of an integer that a value on a grid may be."""


@dataclass(frozen=True)
class Parameter:
    """One array that a kernel takes."""

    shape: tuple[int, ...]
    dtype: str


def parameters(function: Any) -> list[Parameter]:
    """Returns what a PrimFunc takes, in order."""
    return [Parameter(tuple(int(d) for d in b.shape), str(b.dtype)) for b in function.params]


def sizes_of(function: Any) -> list[float]:
    """Returns the factor on the floats of each of the first parameters of a PrimFunc; none where none is said."""
    return [float(getattr(s, "value", s)) for s in (function.attrs or {}).get(SIZES, ())]


class Guarded:
    """An array with marked memory around it, which a kernel that writes too far destroys.

    Attributes:
        array: The array itself, filled with marks, or with ``content``.
    """

    def __init__(self, parameter: Parameter, content: np.ndarray | None = None) -> None:
        kind = np.dtype(parameter.dtype)
        size = int(np.prod(parameter.shape, dtype=np.int64)) * kind.itemsize
        self._whole = np.full(size + 2 * GUARD + _ALIGN, _MARK, np.uint8)
        first = GUARD + -(self._whole.ctypes.data + GUARD) % _ALIGN
        self._range = (first, first + size)
        self.array = self._whole[first : first + size].view(kind).reshape(parameter.shape)
        if content is not None:
            self.array[...] = content

    def mark(self) -> None:
        """Fills the array with marks again."""
        self._whole[:] = _MARK

    def intact(self) -> bool:
        """Returns whether the memory around it is as it was."""
        first, last = self._range
        return bool((self._whole[:first] == _MARK).all() and (self._whole[last:] == _MARK).all())


def random_inputs(
    wanted: list[Parameter], rng: np.random.Generator, *, extreme: bool, scale: float
) -> list[np.ndarray]:
    """Returns one array for each parameter.

    Args:
        wanted: The parameters that are read.
        rng: Where the numbers come from.
        extreme: Whether numbers of 8 and 16 bits are only the least and the greatest ones.
        scale: Size of the float numbers.
    """
    wide = sum(
        np.dtype(p.dtype).kind in "iu" and np.dtype(p.dtype).itemsize > _ON_GRID for p in wanted
    )
    # A bias: sums of it and products stay within 32 bits. Two may be multiplied.
    limit = 1 << (20 if extreme and wide == 1 else 14)
    return [_filled(p, rng, extreme=extreme, scale=scale, limit=limit) for p in wanted]


def _filled(
    p: Parameter, rng: np.random.Generator, *, extreme: bool, scale: float, limit: int
) -> np.ndarray:
    kind = np.dtype(p.dtype)
    if kind == np.bool_:
        return rng.integers(0, 2, p.shape).astype(np.bool_)
    if kind.kind == "f":
        return (rng.standard_normal(p.shape) * scale).astype(kind)
    if kind.itemsize <= _ON_GRID:
        low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
        low = -high if kind == np.int16 else low  # a grid of 16 bits is symmetric
        if extreme:
            return rng.choice(np.array([low, high], kind), p.shape)
        return rng.integers(low, high + 1, p.shape).astype(kind)
    return rng.integers(-limit, limit + 1, p.shape).astype(kind)
