"""What each value of a program costs to make, and where in the user's code it comes from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.kernel_kind import REAL_SUMS, KernelKind, kernel_kind
from edgeopt.ir.macs import node_macs
from edgeopt.ir.source import module_path, operator_name, source_line

if TYPE_CHECKING:
    from edgeopt.contracts import NodeSupport, SupportReport
    from edgeopt.ir import Program

__all__ = ["value_rows"]


def value_rows(program: Program, support: SupportReport) -> list[dict[str, Any]]:
    """Returns a plain row for each call that makes a value, or several: bundles keep them for profiles.

    ``macs`` counts multiply-adds, ``bytes`` what has to be read and written at least: inputs,
    constants and the output, each once, as they are stored. ``kind`` is what it runs as. ``makes`` is the value itself, or that
    of the activation that its kernel applies. ``inputs`` are the values that it reads, and ``shape`` is that of
    ``makes``.

    Args:
        program: As it was compiled.
        support: The backend's verdicts, for the reasons.
    """
    verdicts = {node.node: node for node in support.nodes}
    return [
        _row(program, node, verdicts.get(node.name))
        for node in program.graph.nodes
        if node.op == "call_function" and _parts(node.meta.get("val"))
    ]


def _row(program: Program, node: torch.fx.Node, known: NodeSupport | None) -> dict[str, Any]:
    fused = ops.fused_activation(node) or node
    operands = [_bytes(program, value) for value in node.all_input_nodes]
    kind = _kind(program, node, known)
    return {
        "value": node.name,
        "makes": fused.name,  # the value in between never exists
        "operator": operator_name(node),
        "module": module_path(node),
        "source": source_line(node),
        "kind": kind.kind,
        "reason": kind.reason if kind.kind == "float" or kind.reason == REAL_SUMS else "",
        "macs": node_macs(node),
        "bytes": sum(operands) + _bytes(program, fused),
        "inputs": [value.name for value in _read(program, node)],
        "shape": [int(length) for length in _parts(fused.meta.get("val"))[0].shape],
    }


def _read(program: Program, node: torch.fx.Node) -> list[torch.fx.Node]:
    """Returns what a call reads that other calls or the user make: constants are left out."""
    return [value for value in node.all_input_nodes if value.name not in program.constants]


def _kind(program: Program, node: torch.fx.Node, known: NodeSupport | None) -> KernelKind:
    """Returns what the backend says, and of what costs nothing there what the core says."""
    if known is not None and known.verdict in ("integer", "float", "moves"):
        return KernelKind(known.verdict, known.reason)
    return kernel_kind(program, node)


def _bytes(program: Program, node: torch.fx.Node) -> int:
    parts = _parts(program.constants.get(node.name, node.meta.get("val")))
    spec = program.quant.get(node.name)
    if spec is None:
        return sum(int(math.prod(part.shape)) * part.element_size() for part in parts)
    return sum(spec.storage.bytes_for(int(math.prod(part.shape))) for part in parts)


def _parts(value: Any) -> list[torch.Tensor]:
    """Returns a value as a list of tensors: those of a call that makes several, such as a recurrent layer's."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [part for part in parts if isinstance(part, torch.Tensor)]
