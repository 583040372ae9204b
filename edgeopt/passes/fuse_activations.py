"""Merges activations that follow each other, so that a kernel can apply one.

Requires: canonical activations. Ensures: no clamp or relu has a clamp or relu as its only source.
An activation after a weighted operator is fused by position (`edgeopt.ir.ops.fused_activation`): the value
in between gets no grid, and kernels round once.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import ACTIVATIONS
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["fuse_activations"]

aten = torch.ops.aten


@graph_pass(requires=[settled("canonicalize_activations")], ensures=[settled("fuse_activations")])
def fuse_activations(program: Program) -> Program:
    """Returns the program with chains of clamps as one."""
    editor = Editor(program)
    merged = 0
    for node in editor.scan(*ACTIVATIONS):
        source: Any = node.args[0]
        if source.target not in ACTIVATIONS or len(source.users) != 1:
            continue
        low, high = _merged(ops.activation_bounds(source), ops.activation_bounds(node))
        new = _activation(editor, node, source.args[0], low, high)
        editor.replace(node, new)
        merged += 1
    return editor.finish(Step("fuse_activations", {}, {"merged": merged})) if merged else program


def _merged(inner: tuple[float, float], outer: tuple[float, float]) -> tuple[float, float]:
    """clamp(clamp(x, inner), outer) is a clamp: each inner end, clamped by the outer."""
    low, high = outer
    return min(max(inner[0], low), high), min(max(inner[1], low), high)


def _activation(
    editor: Editor, node: torch.fx.Node, value: Any, low: float, high: float
) -> torch.fx.Node:
    if (low, high) == (0.0, math.inf):
        return editor.call(aten.relu.default, (value,), before=node, like=node)
    args = (value, _finite(low), _finite(high))
    return editor.call(aten.clamp.default, args, before=node, like=node)


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value
