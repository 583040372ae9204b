"""Says of a node how OpenVINO's CPU plugin runs it: as the core says, but for functions and views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import KernelKind, ops
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from edgeopt.ir import Program

__all__ = ["plugin_kind"]


def plugin_kind(program: Program, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
    """Returns how ``node`` of ``program`` runs, of which that says ``kind``."""
    if node.target is torch.ops.aten.reshape.default:
        return KernelKind("folded", "a view of memory")
    values = (*ops.activation_inputs(node), ops.fused_activation(node) or node)
    specs = [program.quant[v.name] for v in values if v.name in program.quant]
    if kind.kind == "integer" and any(s.is_activation and s.storage != INT8 for s in specs):
        return KernelKind("float", "OpenVINO has no kernels for integers of 16 bits")
    if kind.kind == "integer" and _is_function(node):
        return KernelKind(
            "float", "OpenVINO's CPU plugin computes it in float between two quantizations"
        )
    return kind


def _is_function(node: torch.fx.Node) -> bool:
    """Whether other runtimes look the operator up in a table of 256 entries."""
    traits = traits_of(node)
    return traits.integer_kernel == "table" or traits.prescribed_output is not None
