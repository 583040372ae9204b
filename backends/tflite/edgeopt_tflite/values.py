"""Values of the program while it is written: which tensors hold them, and in which order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from edgeopt.ir import QuantSpec
    from edgeopt.ir.orders import Order, Shape
    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["Copy", "Value"]


@dataclass(frozen=True)
class Copy:
    """A tensor that holds a value.

    Attributes:
        tensor: The tensor. Its shape may be any with the right number of elements.
        order: The order of the value's dimensions in its memory.
    """

    tensor: Tensor
    order: Order


@dataclass
class Value:
    """A value of the program.

    Attributes:
        name: Its name in the program.
        shape: Its shape in the program.
        dtype: Its type in the program, a numpy name.
        copies: The tensors that hold it, the first one as it was made.
        array: Its content, for a constant; float32 or of its own type.
        spec: How the program stores a constant.
        make: Emits it when it is first needed; None where it is there already.
    """

    name: str
    shape: Shape
    dtype: str
    copies: list[Copy] = field(default_factory=list)
    array: np.ndarray | None = None
    spec: QuantSpec | None = None
    make: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)
