"""How many multiply-accumulates a node takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeopt.ir import ops

if TYPE_CHECKING:
    import torch

    from edgeopt.ir.program import Program

__all__ = ["layer_macs", "node_macs"]

_PRODUCTS = (ops.aten.matmul.default, ops.aten.bmm.default, ops.aten.mm.default)


def layer_macs(program: Program) -> int:
    """Returns the multiply-accumulates of one call, in convolutions and linear layers."""
    return sum(node_macs(node) for node in program.graph.nodes if node.target in ops.ANCHORS)


def node_macs(node: torch.fx.Node) -> int:
    """Returns the multiply-accumulates of a call: of anchors, products and attention; else 0."""
    if node.target in ops.ANCHORS:
        made = int(node.meta["val"].numel())
        _, weight, _ = ops.anchor_parts(node)
        shape = weight.meta["val"].shape
        if ops.output_channel_axis(node) == 1:  # transposed: each input value meets the kernel
            taken = node.args[0].meta["val"]  # type: ignore[union-attr]
            return int(taken.numel() * math.prod(shape[1:]))
        return int(made * math.prod(shape[1:]))
    if node.target in _PRODUCTS:
        made = int(node.meta["val"].numel())
        return int(made * node.args[0].meta["val"].shape[-1])  # type: ignore[union-attr]
    if node.target is ops.aten.scaled_dot_product_attention.default:
        made = int(node.meta["val"].numel())
        query, key = (node.args[i].meta["val"].shape for i in (0, 1))  # type: ignore[union-attr]
        scores = math.prod(query[:-1]) * key[-2]
        return int(scores * query[-1] + scores * made // math.prod(query[:-1]))
    return 0
