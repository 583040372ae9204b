"""The inputs and outputs of a TFLite model, as the float model has them. Needs only numpy; Python 3.9.

Where the file wants integers or another order of dimensions, the compiler's notes say so, and this
module does it in numpy, in one pass over the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Port"]


class Port:
    """One input or output: where it is, and how it is stored."""

    def __init__(self, note: dict[str, Any], index: int) -> None:
        self.index = index
        self.dtype = np.dtype(note["dtype"])
        self.shape = tuple(note["shape"])
        self.order = tuple(note["order"])
        self.back = tuple(int(a) for a in np.argsort(self.order))
        self.stored = tuple(self.shape[d] for d in self.order)
        self.is_integer = "scale" in note
        self.scale = np.float32(note.get("scale", 1.0))
        self.zero = np.float32(note.get("zero_point", 0))
        self.ends = note.get("ends", (-128, 127))
        self.room = np.empty(self.shape if self.is_integer else (0,), np.float32)

    def fill(self, memory: np.ndarray, array: np.ndarray) -> None:
        """Writes ``array`` into the runtime's memory; ties round to even."""
        if self.is_integer:
            room = self.room
            np.divide(array, self.scale, out=room)
            np.rint(room, out=room)
            np.add(room, self.zero, out=room)
            np.clip(room, *self.ends, out=room)
            array = room
        values = np.asarray(array).transpose(self.order)
        np.copyto(memory.reshape(self.stored), values, casting="unsafe")

    def read(self, array: np.ndarray) -> np.ndarray:
        """Returns what the runtime made, as the float model has it."""
        array = array.reshape(self.stored).transpose(self.back)
        if self.is_integer:
            array = (array.astype(np.float32) - self.zero) * self.scale
        return np.ascontiguousarray(array, self.dtype).reshape(self.shape)
