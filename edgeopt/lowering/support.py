"""The support report: of each node, how it would run, from the one emission that compiles it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import NodeSupport, SupportReport
from edgeopt.errors import UnsupportedError
from edgeopt.lowering.advice import advice

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts import Target
    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program
    from edgeopt.lowering.emitter import Emitter

__all__ = ["require_supported", "support_report"]

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
    from edgeopt.ir.kernel_kind import node_support  # noqa: PLC0415 (imports torch)
    from edgeopt.ir.source import operator_name  # noqa: PLC0415 (imports torch)

    written = {node.name: operator_name(node) for node in emitter.program.graph.nodes}
    rows = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            now = written.get(
                node.name
            )  # None where it was decomposed: it is refused for a part of it
            same = now == operator_name(node)
            verdict, reason = _verdict(emitter, program, node, same=same)
            if node.name in emitter.refused and (same or now is None):
                verdict, reason = "unsupported", emitter.refused[node.name]
            rows[node.name] = node_support(program, node, verdict=verdict, reason=reason)
    for name, reason in emitter.refused.items():  # an input, or an operator of a target pass
        if name not in rows:
            rows[name] = _refusal(emitter.program.node(name), reason)
    return SupportReport(backend, target.name, tuple(rows.values()))


def require_supported(report: SupportReport) -> None:
    """Checks that every node can run.

    Raises:
        UnsupportedError: One cannot; operators and source lines are named.
    """
    if report.ok:
        return
    parts = ("getitem",)  # what takes a result out of several is refused with what made them
    lacking = [n for n in report.unsupported if n.operator not in parts] or report.unsupported
    shown = [f"{n.operator} ({n.source or n.module or n.node}): {n.reason}" for n in lacking]
    more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
    raise UnsupportedError(
        f"{len(lacking)} operators do not run: {'; '.join(shown[:NAMED])}{more}",
        where=f"{report.backend} on {report.target}",
        hint=advice(lacking[0].operator, lacking[0].reason),
        report=report,
    )


def _verdict(
    emitter: Emitter, program: Program, node: torch.fx.Node, *, same: bool
) -> tuple[Verdict, str]:
    """Returns the verdict on a node; one that is not the same is gone after the target passes."""
    from edgeopt.ir.kernel_kind import kernel_kind  # noqa: PLC0415 (imports torch)

    kind = kernel_kind(program, node)
    if same:
        kind = emitter.runs_as(node, kind)
    elif kind.kind == "integer":
        return "float", "a target pass decomposes it into float operators"
    return kind.kind, kind.reason


def _refusal(node: torch.fx.Node, reason: str) -> NodeSupport:
    from edgeopt.ir.source import module_path, operator_name, source_line  # noqa: PLC0415

    return NodeSupport(
        node=node.name,
        operator=operator_name(node),
        verdict="unsupported",
        reason=reason,
        source=source_line(node),
        module=module_path(node),
    )
