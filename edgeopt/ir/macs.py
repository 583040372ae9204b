"""How many multiply-accumulates a node takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of
from edgeopt.ir.recurrence import layer_of

if TYPE_CHECKING:
    import torch

    from edgeopt.ir.program import Program

__all__ = ["layer_macs", "node_macs"]


def layer_macs(program: Program) -> int:
    """Returns the multiply-accumulates of one call, in convolutions, linear and recurrent layers."""
    layers = (n for n in program.graph.nodes if ops.is_weighted(n) or traits_of(n).recurrent)
    return sum(node_macs(node) for node in layers)


def node_macs(node: torch.fx.Node) -> int:
    """Returns the multiply-accumulates of a call: of layers, products and attention; else 0."""
    if ops.is_weighted(node):
        elements = int(node.meta["val"].numel())
        _, weight, _ = ops.weighted_parts(node)
        shape = weight.meta["val"].shape
        if ops.is_transposed(node):  # each input value meets the kernel
            source = node.args[0].meta["val"]  # type: ignore[union-attr]
            return int(source.numel() * math.prod(shape[1:]))
        return int(elements * math.prod(shape[1:]))
    if traits_of(node).macs == "product":
        elements = int(node.meta["val"].numel())
        return int(elements * node.args[0].meta["val"].shape[-1])  # type: ignore[union-attr]
    if traits_of(node).macs == "attention":
        elements = int(node.meta["val"].numel())
        query, key = (node.args[i].meta["val"].shape for i in (0, 1))  # type: ignore[union-attr]
        scores = math.prod(query[:-1]) * key[-2]
        return int(scores * query[-1] + scores * elements // math.prod(query[:-1]))
    if traits_of(node).macs == "recurrent":
        layer = layer_of(node)
        weights = sum(weight.meta["val"].numel() for weight in layer.weights)
        return int(math.prod(layer.x.meta["val"].shape[:2]) * weights)
    return 0
