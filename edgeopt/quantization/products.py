"""Products of two computed values: their factors keep to grids whose zero point is 0, where that costs little.

A kernel that multiplies integers less their zero points must correct its sums for each of them, by sums over rows of the
other factor. For a weight these are known beforehand; for two computed values no runtime does it, and multiplies in float
instead. Queries and keys lie on both sides of 0 alike, so that a grid
around it has steps hardly larger.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.program import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = ["factors_of_products", "without_zero_point"]

MOST_WIDENED = 2**0.5
"""How many times larger the steps may become: half a bit."""


def factors_of_products(program: Program, on_grid: set[torch.fx.Node]) -> Iterator[torch.fx.Node]:
    """Yields the values that products on both of whose computed factors lie on grids read.

    Args:
        program: In canonical form.
        on_grid: The values that get a grid.
    """
    for node in program.graph.nodes:
        if node.op != "call_function" or traits_of(node).macs not in ("product", "attention"):
            continue
        factors: Any = node.args[:2]
        if all(one in on_grid and one.name not in program.constants for one in factors):
            yield from factors


def without_zero_point(spec: QuantSpec) -> QuantSpec:
    """Returns a grid around 0 that reaches as far as ``spec``, or ``spec`` where its steps would be much larger."""
    scale = max(spec.low / spec.q_min, spec.high / spec.q_max)
    if scale > MOST_WIDENED * float(spec.scale[0]):
        return spec
    return replace(
        spec,
        scale=torch.tensor([scale], dtype=torch.float32),
        zero_point=torch.zeros_like(spec.zero_point),
    )
