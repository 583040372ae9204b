"""Says of each node how it would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import NodeSupport, SupportReport
from edgeopt.ir import ops
from edgeopt.ir.source import module_path, operator_name, source_line

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import Target
    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program
    from edgeopt_tvm.emitter import Emitter

__all__ = ["report_of"]

aten = ops.aten
_VIEWS = (aten.reshape.default, aten.permute.default, aten.alias.default)
"""What leaves memory as it is, nearly always."""


def report_of(emitter: Emitter, target: Target) -> SupportReport:
    """Returns one verdict for each operator of the program that ``emitter`` has written."""
    program = emitter.program
    entries = []
    for node in program.graph.nodes:
        if node.op == "call_function":
            verdict, reason = _verdict(emitter, node)
            entries.append(
                NodeSupport(
                    node=node.name,
                    operator=operator_name(node),
                    verdict=verdict,
                    reason=reason,
                    source=source_line(node),
                    module=module_path(node),
                )
            )
    return SupportReport("tvm", target.name, tuple(entries))


def _verdict(emitter: Emitter, node: torch.fx.Node) -> tuple[Verdict, str]:
    program = emitter.program
    if node.name in emitter.refused:
        return "unsupported", emitter.refused[node.name]
    if _is_fused(node) or node.target in _VIEWS or node.name not in emitter.written:
        return "folded", ""
    if not ops.is_float_tensor(node):
        return "integer", ""
    reason = _why_float(program, node)
    return ("float", reason) if reason else ("integer", "")


def _is_fused(node: torch.fx.Node) -> bool:
    source = node.args[0] if node.target in ops.ACTIVATIONS else None
    return getattr(source, "op", "") == "call_function" and ops.fused_activation(source) is node  # type: ignore[arg-type]


def _why_float(program: Program, node: torch.fx.Node) -> str:
    if program.precision != "int8":
        return f"the precision is {program.precision}"
    for value in ops.activation_inputs(node):
        if value.name not in program.quant and value.name not in program.constants:
            return f"{value.name} has no grid"
    if node.target in ops.ANCHORS and ops.anchor_parts(node)[1].name not in program.quant:
        return "its weight was kept in float"
    if (ops.fused_activation(node) or node).name not in program.quant:
        return "its output has no grid"
    if node.target in ops.NORMALIZATIONS:
        return "it is computed in float between two grids"
    return ""
