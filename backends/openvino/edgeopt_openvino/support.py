"""Says of a node how OpenVINO's CPU plugin runs it: as the core says, but for functions and views."""

from __future__ import annotations

import torch

from edgeopt.ir import KernelKind
from edgeopt.ir.operators import traits_of

__all__ = ["plugin_kind"]


def plugin_kind(node: torch.fx.Node, kind: KernelKind) -> KernelKind:
    """Returns how ``node`` runs, of which the program says ``kind``."""
    if node.target is torch.ops.aten.reshape.default:
        return KernelKind("folded", "a view of memory")
    if kind.kind == "integer" and _is_function(node):
        return KernelKind(
            "float", "OpenVINO's CPU plugin computes it in float between two quantizations"
        )
    return kind


def _is_function(node: torch.fx.Node) -> bool:
    """Whether other runtimes look the operator up in a table of 256 entries."""
    traits = traits_of(node)
    return traits.integer_kernel == "table" or traits.prescribed_output is not None
