"""Values of a program as the C source has them: where they lie, in which order, on which grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from edgeopt.ir import QuantSpec
    from edgeopt.ir.orders import Order

__all__ = ["C_TYPES", "Buffer", "Grid", "Value", "grid_of", "requantized"]

C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "float32": "float",
    "bool": "uint8_t",
}
"""Dtype (numpy's name) to the C type of its numbers."""


@dataclass(frozen=True)
class Grid:
    """The quantization parameters of an int8 value.

    Attributes:
        scale: The step, a float32.
        zero: The integer that stands for 0.
        low: The lowest integer.
        high: The highest.
    """

    scale: float
    zero: int
    low: int
    high: int


def grid_of(spec: QuantSpec | None) -> Grid | None:
    """Returns the grid of an activation's parameters, None where it is float."""
    if spec is None or not spec.is_activation:
        return None
    return Grid(float(spec.scale[0]), int(spec.zero_point[0]), spec.q_min, spec.q_max)


def requantized(integers: np.ndarray, grid: Grid, goal: Grid) -> np.ndarray:
    """Returns integers of one grid on another, int8, rounded as the reference does: in float32, ties to even."""
    real = (integers.astype(np.float32) - np.float32(grid.zero)) * np.float32(grid.scale)
    steps = np.rint(real / np.float32(goal.scale)) + np.float32(goal.zero)
    result: np.ndarray = np.clip(steps, goal.low, goal.high).astype(np.int8)
    return result


@dataclass(eq=False)
class Buffer:
    """A stretch of memory.

    Attributes:
        kind: ``input`` and ``output``: the caller's, or the arena's; ``arena``; ``constant``: in flash.
        size_bytes: Its size.
        name: The value that it holds first.
        array: Content of a constant.
        number: Which input or output it is.
    """

    kind: Literal["input", "output", "arena", "constant"]
    size_bytes: int
    name: str
    array: np.ndarray | None = None
    number: int = -1


@dataclass(frozen=True)
class Value:
    """A value in memory.

    Attributes:
        buffer: Where it is.
        shape: As the program has it.
        order: How its memory relates to its shape (`edgeopt.ir.orders`).
        dtype: Of what is stored, a numpy name.
        grid: Its quantization parameters, None where it is stored as it is.
    """

    buffer: Buffer
    shape: tuple[int, ...]
    order: Order
    dtype: str
    grid: Grid | None = None

    @property
    def c_type(self) -> str:
        """The C type of its numbers."""
        return C_TYPES[self.dtype]

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """How many bytes a number takes."""
        return np.dtype(self.dtype).itemsize

    @property
    def size_bytes(self) -> int:
        """How many bytes it takes."""
        return self.count * self.item_bytes

    @property
    def strides(self) -> tuple[int, ...]:
        """How far apart neighbours are along each dimension of the shape, in numbers."""
        result, step = [0] * len(self.shape), 1
        for dimension in reversed(self.order):
            result[dimension] = step
            step *= self.shape[dimension]
        return tuple(result)
