"""Says of a node how it would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.ir import ops
from edgeopt.lowering.support import program_verdict

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts.support import Verdict
    from edgeopt_tvm.emitter import Emitter

__all__ = ["kernel_verdict"]

aten = ops.aten
_VIEWS = (aten.reshape.default, aten.permute.default, aten.alias.default)
"""What leaves memory as it is, nearly always."""


def kernel_verdict(emitter: Emitter, node: torch.fx.Node) -> tuple[Verdict, str]:
    """Returns how ``node`` runs, and why it is not integer where the program says it is."""
    if node.target in _VIEWS or node.name not in emitter.written:
        return "folded", ""
    verdict, reason = program_verdict(emitter.program, node)
    if verdict == "integer" and node.target in ops.NORMALIZATIONS:
        return "float", "it is computed in float between two grids"
    return verdict, reason
