"""The support report: of each node, how it would run, from the one emission that compiles it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import NodeSupport, SupportReport
from edgeopt.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import Target
    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program
    from edgeopt.lowering.emitter import Emitter

__all__ = ["is_fused", "program_verdict", "require_supported", "support_report"]

NAMED = 3
"""How many unsupported operators an error names."""


def support_report(
    emitter: Emitter, program: Program, target: Target, *, backend: str
) -> SupportReport:
    """Returns one verdict for each operator of ``program``, and one for each other value refused.

    Args:
        emitter: After its run.
        program: As it was before the target passes.
        target: What it was written for.
        backend: The backend's name.
    """
    from edgeopt.ir.source import operator_name  # noqa: PLC0415 (imports torch)

    lowered = {node.name: operator_name(node) for node in emitter.program.graph.nodes}
    entries = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            if lowered.get(node.name) == operator_name(node):
                entries[node.name] = _entry(node, *_verdict(emitter, node))
            else:
                reason = "a target pass spells it as float operators"
                entries[node.name] = _entry(node, "float", reason)
    for name, reason in emitter.refused.items():  # an input, or an operator of a target pass
        if name not in entries:
            entries[name] = _entry(emitter.program.node(name), "unsupported", reason)
    return SupportReport(backend, target.name, tuple(entries.values()))


def require_supported(report: SupportReport) -> None:
    """Checks that every node can run.

    Raises:
        UnsupportedError: One cannot; operators and source lines are named.
    """
    if report.ok:
        return
    lacking = report.unsupported
    shown = [f"{n.operator} ({n.source or n.module or n.node}): {n.reason}" for n in lacking]
    more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
    raise UnsupportedError(
        f"{len(lacking)} operators do not run: {'; '.join(shown[:NAMED])}{more}",
        where=f"{report.backend} on {report.target}",
        hint="replace the operator in the model, or try another backend",
        report=report,
    )


def program_verdict(program: Program, node: torch.fx.Node) -> tuple[Verdict, str]:
    """Returns how ``node`` runs as the program says, and why it is not integer."""
    from edgeopt.ir import ops  # noqa: PLC0415 (imports torch)

    if is_fused(node):
        return "folded", ""
    if not ops.is_float_tensor(node):
        return "integer", ""
    reason = _why_float(program, node)
    return ("float", reason) if reason else ("integer", "")


def is_fused(node: torch.fx.Node) -> bool:
    """Returns whether ``node`` is an activation that the kernel in front of it applies."""
    from edgeopt.ir import ops  # noqa: PLC0415 (imports torch)

    source = node.args[0] if node.target in ops.ACTIVATIONS else None
    return getattr(source, "op", "") == "call_function" and ops.fused_activation(source) is node  # type: ignore[arg-type]


def _why_float(program: Program, node: torch.fx.Node) -> str:
    from edgeopt.ir import ops  # noqa: PLC0415 (imports torch)

    if program.precision != "int8":
        return f"the precision is {program.precision}"
    for value in ops.activation_inputs(node):
        if value.name not in program.quant:
            return f"{value.name} has no grid"
    if node.target in ops.ANCHORS and ops.anchor_parts(node)[1].name not in program.quant:
        return "its weight was kept in float"
    if (ops.fused_activation(node) or node).name not in program.quant:
        return "its output has no grid"
    return ""


def _verdict(emitter: Emitter, node: torch.fx.Node) -> tuple[Verdict, str]:
    refusal = emitter.refused.get(node.name)
    return emitter.verdict(node) if refusal is None else ("unsupported", refusal)


def _entry(node: torch.fx.Node, verdict: Verdict, reason: str) -> NodeSupport:
    from edgeopt.ir.source import module_path, operator_name, source_line  # noqa: PLC0415

    return NodeSupport(
        node=node.name,
        operator=operator_name(node),
        verdict=verdict,
        reason=reason,
        source=source_line(node),
        module=module_path(node),
    )
