"""The inputs and outputs of a TFLite model, as the float model has them. Needs only numpy; Python 3.9.

Where the file wants integers or another order of dimensions, the compiler's notes say so, and this
module does it in numpy, in as few passes over the data as that takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Port"]

_FEW = 16
"""Channels up to which planes are moved one by one: numpy goes along the last axis, and would do so few at a time."""


class Port:
    """One input or output: where it is, and how it is stored."""

    def __init__(self, note: dict[str, Any], index: int) -> None:
        self.index = index
        self.dtype = np.dtype(note["dtype"])
        self.shape = tuple(note["shape"])
        self.order = tuple(note["order"])
        self.is_moved = self.order != tuple(range(len(self.order)))
        self.back = tuple(int(a) for a in np.argsort(self.order))
        self.stored = tuple(self.shape[d] for d in self.order)
        self.is_integer = "scale" in note
        # Arrays, not numbers: those are made arrays at each use, which takes longer than a small model's input.
        self.scale = np.array(note.get("scale", 1.0), np.float32)
        self.zero = np.array(note.get("zero_point", 0), np.float32)
        self.ends = [np.array(end, np.float32) for end in note.get("ends", (-128, 127))]
        self.room = np.empty(self.shape if self.is_integer else (0,), np.float32)
        self.integers: np.ndarray = np.empty(0, np.int8)

    def fill(self, memory: np.ndarray, array: np.ndarray) -> None:
        """Writes ``array`` into the runtime's memory; ties round to even."""
        target = memory.reshape(self.stored)
        if not self.is_integer:
            return _moved(target, np.asarray(array).transpose(self.order))
        room = self.room
        np.divide(array, self.scale, room)
        np.rint(room, room)
        np.add(room, self.zero, room)
        room.clip(self.ends[0], self.ends[1], room)
        if not self.is_moved:
            return np.copyto(target, room, casting="unsafe")
        if self.integers.dtype != target.dtype or self.integers.shape != room.shape:
            self.integers = np.empty(room.shape, target.dtype)
        np.copyto(self.integers, room, casting="unsafe")  # bytes are moved faster than floats
        return _moved(target, self.integers.transpose(self.order))

    def read(self, array: np.ndarray) -> np.ndarray:
        """Returns what the runtime made, as the float model has it.

        Args:
            array: A copy that is nobody else's: where it is as it should be, it is what is returned.
        """
        array = array.reshape(self.stored)
        if self.is_moved:
            array = array.transpose(self.back)
        if not self.is_integer:
            return np.ascontiguousarray(array, self.dtype).reshape(self.shape)
        values = np.empty(self.shape, np.float32)
        np.copyto(values, array)
        np.subtract(values, self.zero, values)
        np.multiply(values, self.scale, values)
        return values if self.dtype == values.dtype else values.astype(self.dtype)


def _moved(target: np.ndarray, source: np.ndarray) -> None:
    """Writes ``source`` into ``target``, of the same shape, whatever their strides."""
    if target.ndim > 1 and 1 < target.shape[-1] <= _FEW and not source.flags.c_contiguous:
        for channel in range(target.shape[-1]):
            np.copyto(target[..., channel], source[..., channel], casting="unsafe")
        return
    np.copyto(target, source, casting="unsafe")
