"""What TFLite's integer kernels can do with the grids of a node, found by trying them.

XNNPACK takes a convolution or product whose sums are scaled by 256 or more, and then cannot be
loaded; TFLite's own ADD ends the process where its inputs are far coarser than its output. Grids
like that come from a value whose range is next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir import ops

if TYPE_CHECKING:
    from edgeopt.ir import Program

__all__ = ["LARGEST_FACTOR", "integer_factor"]

aten = torch.ops.aten

LARGEST_FACTOR = 64.0
"""How much coarser inputs may be than the result; the kernels differ, 128 breaks HARD_SWISH."""


def integer_factor(program: Program, node: torch.fx.Node) -> float:
    """Returns the largest factor by which the kernel of ``node`` scales its integers.

    Args:
        program: The program; all inputs of ``node`` and its result lie on grids.
        node: A node with an integer kernel.
    """
    result = program.quant[(ops.fused_activation(node) or node).name]
    scales = [float(program.quant[v.name].scale[0]) for v in ops.activation_inputs(node)]
    step = float(result.scale[0])
    if ops.is_weighted(node):
        weight = program.quant.get(ops.weighted_parts(node)[1].name)
        return scales[0] * (float(weight.scale.max()) if weight is not None else 0.0) / step
    if node.target is aten.mul.Tensor:
        return scales[0] * scales[-1] / step
    return max(scales) / step
