"""Grids as a machine stores them: int8 as the program has it, or moved by 128 to uint8; int16 as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT8, storage_type
from edgeopt.ir.rounding import round_and_clip

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.ir import QuantSpec
    from edgeopt_tvm.machine import Machine

__all__ = ["Grid", "parameters_of"]


@dataclass(frozen=True)
class Grid:
    """A per-tensor grid: real = (integer - zero) * scale.

    Attributes:
        dtype: ``int8`` or ``uint8``, or ``int16``.
        scale: The step, a float32.
        zero: The integer that stands for 0.
        low: The smallest integer.
        high: The largest integer.
        bits: Bits of the program's grid that are used.
    """

    dtype: str
    scale: float
    zero: int
    low: int
    high: int
    bits: int = 8

    def steps(self, value: float) -> int:
        """Returns how many steps ``value`` is from zero; ties go to the even one."""
        step = torch.tensor(self.scale, dtype=torch.float64)
        return int(torch.round(torch.tensor(value, dtype=torch.float64) / step))

    def integer(self, value: float) -> int:
        """Returns the integer that stands for ``value``, rounded in float32 as the reference does."""
        exact = torch.tensor([value], dtype=torch.float32)
        return int(self.quantized(exact)[0])

    def quantized(self, values: torch.Tensor) -> np.ndarray:
        """Returns the integers that stand for ``values``, as `QuantSpec.quantize` finds them."""
        scale = torch.tensor(self.scale)
        integers = round_and_clip(values.float(), scale, self.zero, self.low, self.high)
        array: np.ndarray = integers.to(getattr(torch, self.dtype)).contiguous().numpy()
        return array

    @property
    def is_short(self) -> bool:
        """Whether a table may have an entry for each integer of the dtype."""
        return storage_type(self.dtype).bits <= INT8.bits

    @property
    def farthest(self) -> int:
        """The largest size of an integer of the dtype, or of its distance from zero."""
        return INT8.steps if self.is_short else self.high

    def reals(self) -> torch.Tensor:
        """Returns what each of the integers that fit the dtype stands for, smallest first."""
        storage = storage_type(self.dtype)
        integers = torch.arange(storage.lowest, storage.highest + 1, dtype=torch.float32)
        return (integers - self.zero) * torch.tensor(self.scale)

    @property
    def first(self) -> int:
        """The smallest integer of the dtype, where a table of all of them starts."""
        return storage_type(self.dtype).lowest


def parameters_of(spec: QuantSpec | None, machine: Machine) -> Grid | None:
    """Returns the grid of an activation, None for one that is float."""
    if spec is None or not spec.is_activation:
        return None
    stored = machine.activations if spec.storage == INT8 else spec.storage.name
    moved = storage_type(stored).lowest - spec.storage.lowest
    return Grid(
        dtype=stored,
        scale=float(spec.scale[0]),
        zero=int(spec.zero_point[0]) + moved,
        low=spec.q_min + moved,
        high=spec.q_max + moved,
        bits=spec.bits,
    )
