"""Says of a node how OpenVINO's CPU plugin would run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.ir import ops
from edgeopt.lowering.support import program_verdict
from edgeopt_openvino.grids import MOVING

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program

__all__ = ["kernel_verdict"]


def kernel_verdict(program: Program, node: torch.fx.Node) -> tuple[Verdict, str]:
    """Returns how ``node`` runs, and why it is not integer where the program says it is."""
    if not ops.is_float_tensor(node):
        return "folded" if node.target in MOVING else "float", ""
    if node.target is ops.aten.reshape.default:
        return "folded", ""
    verdict, reason = program_verdict(program, node)
    if verdict == "integer" and (node.target in ops.UNARY_TABLE or node.target in ops.FIXED_RANGE):
        return "float", "OpenVINO's CPU plugin computes it in float between two grids"
    return verdict, reason
