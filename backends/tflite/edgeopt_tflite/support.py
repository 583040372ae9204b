"""Says of each node how it would run: what the core says, unless the emitter wrote otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.contracts import SupportReport
from edgeopt.contracts.storage import STORAGE_TYPES
from edgeopt.ir import ops
from edgeopt.ir.kernel_kind import KernelKind, kernel_kind, node_support
from edgeopt.ir.source import operator_name
from edgeopt_tflite.kernels import LARGEST_FACTOR

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import NodeSupport, Target
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
    operators = {node.name: operator_name(node) for node in lowered.graph.nodes}
    rows = []
    for node in program.graph.nodes:
        if node.op == "call_function":
            written = operators.get(node.name) == operator_name(node)
            rows.append(_row(program, node, emitter if written else None))
    return SupportReport("tflite", target.name, tuple(rows))


def _row(program: Program, node: torch.fx.Node, emitter: Emitter | None) -> NodeSupport:
    """Returns the verdict on a node; one without an emitter is gone after the target passes."""
    kind = _kind(program, node)
    if emitter is None:
        if kind.kind != "integer":
            return node_support(program, node, verdict=kind.kind, reason=kind.reason)
        reason = "a target pass decomposes it into float operators"
        return node_support(program, node, verdict="float", reason=reason)
    verdict, reason = _verdict(emitter, node, kind)
    return node_support(program, node, verdict=verdict, reason=reason)


def _kind(program: Program, node: torch.fx.Node) -> KernelKind:
    """Returns what a node runs as; an activation that is written by itself, as what it follows."""
    kind = kernel_kind(program, node)
    source = node.args[0] if kind.kind == "folded" else None
    return kernel_kind(program, source) if source is not None else kind  # type: ignore[arg-type]


def _verdict(emitter: Emitter, node: torch.fx.Node, kind: KernelKind) -> tuple[Verdict, str]:
    if node.name in emitter.unsupported:
        return "unsupported", emitter.unsupported[node.name]
    written = [emitter.model.operators[i] for i in emitter.emitted.get(node.name, [])]
    if not written:
        return "folded", ""
    if kind.kind != "integer" or not ops.is_float_tensor(node) or node.name in emitter.by_value:
        return kind.kind, kind.reason
    if _computes_in_float(written):
        return "float", _why_float(emitter, node)
    return kind.kind, kind.reason


def _computes_in_float(written: list[Any]) -> bool:
    """Whether what computes has a float tensor; a requantization computes where nothing else does."""
    computing = [op for op in written if op[0] not in ("DEQUANTIZE", "QUANTIZE")] or written
    types = {t.dtype for _, inputs, outputs in computing for t in (*inputs, *outputs) if t}
    return any(STORAGE_TYPES[name].floating for name in types if name in STORAGE_TYPES)


def _why_float(emitter: Emitter, node: torch.fx.Node) -> str:
    if emitter.is_on_grid(node) and not emitter.is_integer(node):
        return f"its inputs are more than {LARGEST_FACTOR:.0f} times as coarse as its result"
    return "TFLite has no integer kernel for it"
