"""Says of each node how OpenVINO would run it: what the core says, but for functions and views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.contracts import SupportReport
from edgeopt.ir.kernel_kind import kernel_kind, node_support
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from edgeopt.contracts import NodeSupport, Target
    from edgeopt_openvino.emitter import Emitter

__all__ = ["report_of"]


def report_of(emitter: Emitter, target: Target) -> SupportReport:
    """Returns one verdict for each operator of the program that ``emitter`` has written."""
    nodes = [n for n in emitter.program.graph.nodes if n.op == "call_function"]
    return SupportReport("openvino", target.name, tuple(_row(emitter, node) for node in nodes))


def _row(emitter: Emitter, node: torch.fx.Node) -> NodeSupport:
    program = emitter.program
    if node.name in emitter.refused:
        refusal = emitter.refused[node.name]
        return node_support(program, node, verdict="unsupported", reason=refusal)
    if node.target is torch.ops.aten.reshape.default:
        return node_support(program, node, verdict="folded")
    if kernel_kind(program, node).kind == "integer" and _is_function(node):
        reason = "OpenVINO's CPU plugin computes it in float between two quantizations"
        return node_support(program, node, verdict="float", reason=reason)
    return node_support(program, node)


def _is_function(node: torch.fx.Node) -> bool:
    """Whether other runtimes look the operator up in a table of 256 entries."""
    traits = traits_of(node)
    return traits.integer_kernel == "table" or traits.prescribed_output is not None
