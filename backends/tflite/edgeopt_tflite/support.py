"""Says of each node how it would run: from what the emitter writes for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import NodeSupport, SupportReport
from edgeopt.ir import ops
from edgeopt.ir.source import module_path, operator_name, source_line
from edgeopt_tflite.kernels import LARGEST_FACTOR

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import Target
    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program
    from edgeopt_tflite.emitter import Emitter

__all__ = ["report_of"]


def report_of(
    program: Program, lowered: Program, target: Target, emitter: Emitter
) -> SupportReport:
    """Returns one verdict for each operator of ``program``.

    Args:
        program: As it was before the target passes.
        lowered: After them: what ``emitter`` has written.
        target: The target.
        emitter: The emitter, after its run.
    """
    kept = {node.name: operator_name(node) for node in lowered.graph.nodes}
    nodes = [n for n in program.graph.nodes if n.op == "call_function"]
    verdicts = []
    for node in nodes:
        if kept.get(node.name) == operator_name(node):
            verdict, reason = _verdict(emitter, lowered, node)
        else:
            verdict, reason = "float", "a target pass spells it as float operators"
        verdicts.append(_entry(node, verdict, reason))
    return SupportReport("tflite", target.name, tuple(verdicts))


def _entry(node: torch.fx.Node, verdict: Verdict, reason: str) -> NodeSupport:
    return NodeSupport(
        node=node.name,
        operator=operator_name(node),
        verdict=verdict,
        reason=reason,
        source=source_line(node),
        module=module_path(node),
    )


def _verdict(emitter: Emitter, program: Program, node: torch.fx.Node) -> tuple[Verdict, str]:
    if node.name in emitter.unsupported:
        return "unsupported", emitter.unsupported[node.name]
    written = [emitter.model.operators[i] for i in emitter.emitted.get(node.name, [])]
    computing = [op for op in written if op[0] not in ("DEQUANTIZE", "QUANTIZE")]
    if not written:
        return "folded", ""
    floats = any(
        t.dtype in ("float32", "float16") for _, inputs, outputs in computing
        for t in (*inputs, *outputs)
    )  # fmt: skip
    if computing and (not floats or node.name in emitter.by_value):
        return "integer", ""
    return "float", _why_float(emitter, program, node)


def _why_float(emitter: Emitter, program: Program, node: torch.fx.Node) -> str:
    if program.precision != "int8":
        return f"the precision is {program.precision}"
    loose = [v.name for v in ops.activation_inputs(node) if emitter.grid(v) is None]
    if loose:
        return f"{loose[0]} has no grid"
    if emitter.grid(ops.fused_activation(node) or node) is None:
        return "its output has no grid"
    if emitter.is_on_grid(node) and not emitter.is_integer(node):
        return f"its inputs are more than {LARGEST_FACTOR:.0f} times as coarse as its result"
    return "TFLite has no integer kernel for it"
