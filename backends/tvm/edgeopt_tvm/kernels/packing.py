"""How weights lie in memory: in blocks of as many output channels as a vector has lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.contracts.storage import INT16
from edgeopt_tvm.kernels.dots import BYTES, PAIRS, instruction

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine

__all__ = ["Packing", "lanes_for", "lanes_of", "packing_of"]

_WASTE = 0.13
"""Share of a layer's lanes that may stay empty before narrower vectors are taken."""


@dataclass(frozen=True)
class Packing:
    """The order of a weight: (blocks, rows, columns, channel groups, lanes, group).

    Attributes:
        lanes: Output channels in a block.
        group: Neighbouring input channels that one instruction multiplies; 1 where it takes one.
    """

    lanes: int
    group: int

    def pack(self, weight: np.ndarray) -> np.ndarray:
        """Returns ``weight``, (out, rows, columns, channels), in this order, padded with zeros."""
        out, rows, columns, channels = weight.shape
        blocks, groups = -(-out // self.lanes), -(-channels // self.group)
        full = np.zeros((blocks * self.lanes, rows, columns, groups * self.group), weight.dtype)
        full[:out, :, :, :channels] = weight
        split = full.reshape(blocks, self.lanes, rows, columns, groups, self.group)
        return np.ascontiguousarray(split.transpose(0, 2, 3, 4, 1, 5))


def packing_of(weight: np.ndarray, machine: Machine, data: str) -> Packing:
    """Returns the order for ``weight``, whose first axis is the output channels.

    Args:
        weight: The weight.
        machine: What code is made for.
        data: The dtype that it is multiplied with; instructions take bytes on both sides, or 16 bits on one.
    """
    lanes = lanes_of(int(weight.shape[0]), machine)
    group = (
        {machine.activations: BYTES, INT16.name: PAIRS}.get(data)
        if weight.dtype == np.int8
        else None
    )
    intrinsic = instruction(machine, lanes, group) if group else None
    return Packing(lanes, intrinsic.group if intrinsic else 1)


def lanes_of(out: int, machine: Machine) -> int:
    """Returns how many of ``out`` channels lie in a block: a vector, or less where much stays empty."""
    lanes = machine.lanes
    while lanes > 4 and (-out % lanes) > _WASTE * out:  # noqa: PLR2004 (the narrowest vector)
        if -(-out // (lanes // 2)) == 2 * -(-out // lanes):  # as many vectors, half as wide
            break
        lanes //= 2
    return lanes


def lanes_for(size: int, machine: Machine) -> int:
    """Returns the widest vector of 32-bit numbers that divides ``size``; 1 where none does."""
    return next((w for w in (machine.lanes, 8, 4) if w <= machine.lanes and size % w == 0), 1)
