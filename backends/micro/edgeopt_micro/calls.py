"""One call of a C function, as the model's source has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KernelCall"]


@dataclass(frozen=True)
class KernelCall:
    """A function, its constants, and the memory it needs beside its inputs and output.

    A function of a kernel file is ``void function(const struct *parameters, const T *input…, T *output,
    void *scratch)``. One whose ``text`` is given goes into the model's own source, and is
    ``void function(const T *input…, T *output, numbers…)``; equal texts are one function.

    Attributes:
        function: Name of the C function; of a text its beginning.
        struct: Name of its struct of parameters, a typedef; empty for a text.
        fields: Field (or argument) name to a number, or to an array whose address it is: a constant in
            flash, of a C type that follows from its dtype.
        sources: Files of ``native/`` that it needs.
        scratch_bytes: What it needs for the time of the call, aligned to 16.
        overlaps: Number of an input that the output may lie over to how many bytes the output must start
            before it at least (`edgeopt_micro.overlap`): 0 is byte for byte in place.
        text: The function's parameters and body, behind its name.
        layers: Calls that it makes by itself, each with where in the scratch memory its output lies; their
            structs are members of its own.
    """

    function: str
    struct: str = ""
    fields: dict[str, int | float | np.ndarray] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    scratch_bytes: int = 0
    overlaps: dict[int, int] = field(default_factory=dict)
    text: str = ""
    layers: tuple[tuple[KernelCall, int], ...] = ()

    @property
    def calls(self) -> tuple[KernelCall, ...]:
        """It, and the calls that it makes by itself."""
        return (self, *(call for call, _ in self.layers))
