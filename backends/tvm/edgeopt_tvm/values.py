"""Values of a program while they are written: what they are, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tvm import relax

if TYPE_CHECKING:
    import numpy as np
    import torch

    from edgeopt.ir.orders import Order, Shape
    from edgeopt_tvm.parameters import Grid

__all__ = ["Copy", "Value", "constant_of"]


def constant_of(array: np.ndarray) -> Any:
    """Returns ``array`` as a Relax constant of the same type: by itself TVM makes 32 bits of 64."""
    return relax.const(array, array.dtype.name)


@dataclass(frozen=True)
class Copy:
    """A value in memory.

    Attributes:
        expr: The Relax variable or constant; its own shape may be another one of the same memory.
        order: Which dimension of the value each position in memory counts, the slowest first.
        grid: What its integers stand for; None where they are the numbers themselves.
    """

    expr: Any
    order: Order
    grid: Grid | None = None


@dataclass
class Value:
    """A value of the program.

    Attributes:
        name: The node that made it.
        shape: Its shape in the program.
        dtype: Its dtype in the program, numpy's name.
        grid: The grid that it lies on; None for a float value, and for one of another dtype.
        copies: Where it is, in one or several orders.
        source: What was given for an input that has yet to be put on its grid.
        array: A constant's content.
        function: Of another value on a grid, where each number follows from that one's alone: that
            value, and the real number for each of its 256 integers.
    """

    name: str
    shape: Shape
    dtype: str
    grid: Grid | None = None
    copies: list[Copy] = field(default_factory=list)
    source: Copy | None = None
    array: np.ndarray | None = None
    function: tuple[Value, torch.Tensor] | None = None
