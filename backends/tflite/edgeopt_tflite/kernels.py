"""What TFLite's integer kernels can do with the grids of a node, found by trying them.

XNNPACK takes a convolution or product whose sums are scaled by 256 or more, and then cannot be
loaded; TFLite's own ADD ends the process where its inputs are far coarser than its output. Grids
like that come from a value whose range is next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT16
from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from edgeopt.ir import Program

__all__ = ["LARGEST_FACTOR", "has_kernel", "integer_factor"]

aten = torch.ops.aten

LARGEST_FACTOR = 64.0
"""How much coarser inputs may be than the result; the kernels differ, 128 breaks HARD_SWISH."""


def has_kernel(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether TFLite has a kernel for the integers of ``node``: all of 8 bits, or of 16 for few operators.

    Args:
        program: The program; all inputs of ``node`` and its result lie on grids.
        node: A node with an integer kernel, or one that moves values.
    """
    values = (*ops.activation_inputs(node), ops.fused_activation(node) or node)
    stored = {program.quant[v.name].storage for v in values if v.name in program.quant}
    if INT16 not in stored:
        return True
    layer = ops.is_weighted(node) and not ops.is_transposed(node)
    return stored == {INT16} and (layer or traits_of(node).moves)


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
