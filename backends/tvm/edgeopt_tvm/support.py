"""Says of each node how TVM would run it: what the core says, but for what it folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import SupportReport
from edgeopt.ir.kernel_kind import node_support
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import NodeSupport, Target
    from edgeopt_tvm.emitter import Emitter

__all__ = ["report_of"]


def report_of(emitter: Emitter, target: Target) -> SupportReport:
    """Returns one verdict for each operator of the program that ``emitter`` has written."""
    nodes = [n for n in emitter.program.graph.nodes if n.op == "call_function"]
    return SupportReport("tvm", target.name, tuple(_row(emitter, node) for node in nodes))


def _row(emitter: Emitter, node: torch.fx.Node) -> NodeSupport:
    program = emitter.program
    if node.name in emitter.refused:
        refusal = emitter.refused[node.name]
        return node_support(program, node, verdict="unsupported", reason=refusal)
    if traits_of(node).view or node.name not in emitter.written:
        return node_support(program, node, verdict="folded")
    return node_support(program, node)
