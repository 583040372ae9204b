"""How much memory the values of one call take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from edgeopt.ir.program import Program

__all__ = ["peak_value_bytes"]


def peak_value_bytes(program: Program) -> int:
    """Returns the bytes of the values that are needed at once, at most, each number in 4 bytes; without constants."""
    alive: dict[str, int] = {}
    peak = 1
    uses = {n.name: len(n.users) for n in program.graph.nodes}
    for node in program.graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, torch.Tensor) and node.name not in program.constants:
            alive[node.name] = value.numel() * 4
        peak = max(peak, sum(alive.values()))
        for used in node.all_input_nodes:
            uses[used.name] -= 1
            if uses[used.name] == 0:
                alive.pop(used.name, None)
    return peak
