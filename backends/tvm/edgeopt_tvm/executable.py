"""A compiled graph before code is generated: kernels, and the order in which they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Buffer", "Executable", "Step"]

Kind = Literal["input", "output", "constant", "temporary"]


@dataclass(frozen=True)
class Buffer:
    """A dense array that steps read or write.

    Attributes:
        name: Unique name.
        shape: Its shape, row-major.
        dtype: numpy's name of its dtype.
        kind: ``input`` and ``output`` are the caller's, in the program's order, with the float
            model's shapes and dtypes; ``constant`` is stored; ``temporary`` lives in between.
        alias: Index of the buffer whose memory this one is, seen in another shape of as many
            elements (the kind is then ``temporary``, whatever that buffer is); -1 for memory of
            its own. The buffer it names is never an alias itself.
        limit: Of an input that chooses rows of a table: how many there are; 0 where any value may be.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: Kind
    alias: int = -1
    limit: int = 0


@dataclass(frozen=True)
class Step:
    """One call of a kernel.

    Attributes:
        kernel: Name of the PrimFunc.
        args: Indices of buffers, in the kernel's order: those read, then those written.
        outputs: How many at the end are written.
        origins: Names of the program's nodes it computes.
    """

    kernel: str
    args: tuple[int, ...]
    outputs: int = 1
    origins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Executable:
    """Straight-line code: steps, run one after the other.

    Attributes:
        module: A TVM IRModule with one PrimFunc a kernel, under the names that steps use.
        buffers: All arrays; an index into it names one.
        steps: The calls, in order.
        constants: Index of a buffer of kind ``constant`` to its content.
    """

    module: Any
    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    constants: dict[int, np.ndarray]

    def root(self, index: int) -> int:
        """Returns the index of the buffer whose memory the buffer ``index`` is: its own, mostly."""
        alias = self.buffers[index].alias
        return index if alias < 0 else alias
