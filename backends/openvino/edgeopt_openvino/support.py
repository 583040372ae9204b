"""Says of each node how OpenVINO would run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import NodeSupport, SupportReport
from edgeopt.ir import ops
from edgeopt.ir.source import module_path, operator_name, source_line
from edgeopt_openvino.grids import MOVING

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import Target
    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program
    from edgeopt_openvino.emitter import Emitter

__all__ = ["report_of"]


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
    return SupportReport("openvino", target.name, tuple(entries))


def _verdict(emitter: Emitter, node: torch.fx.Node) -> tuple[Verdict, str]:
    program = emitter.program
    if node.name in emitter.refused:
        return "unsupported", emitter.refused[node.name]
    if not ops.is_float_tensor(node):
        return "folded" if node.target in MOVING else "float", ""
    if _is_fused(node) or node.target is ops.aten.reshape.default:
        return "folded", ""
    reason = _why_float(program, node)
    return ("float", reason) if reason else ("integer", "")


def _is_fused(node: torch.fx.Node) -> bool:
    source = node.args[0] if node.target in ops.ACTIVATIONS else None
    return getattr(source, "op", "") == "call_function" and ops.fused_activation(source) is node  # type: ignore[arg-type]


def _why_float(program: Program, node: torch.fx.Node) -> str:
    if program.precision != "int8":
        return f"the precision is {program.precision}"
    for value in ops.activation_inputs(node):
        if value.name not in program.quant:
            return f"{value.name} has no grid"
    if (ops.fused_activation(node) or node).name not in program.quant:
        return "its output has no grid"
    if node.target in ops.UNARY_TABLE or node.target in ops.FIXED_RANGE:
        return "OpenVINO's CPU plugin computes it in float between two grids"
    return ""
