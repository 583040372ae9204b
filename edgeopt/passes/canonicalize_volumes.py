"""Spells convolutions over volumes as convolutions over planes.

Requires: batch norms are folded. Ensures: no conv3d is left; its window's depth counts as channels, which are
put beside one another.
"""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inline
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["canonicalize_volumes"]

aten = torch.ops.aten


@graph_pass(requires=[settled("fold_batch_norm")], ensures=[settled("canonicalize_volumes")])
def canonicalize_volumes(program: Program) -> Program:
    """Returns the program with conv2d for every conv3d."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan(aten.conv3d.default):
        inline(editor, node, _by_planes)
        changed += 1
    return (
        editor.finish(Step("canonicalize_volumes", {}, {"changed": changed}))
        if changed
        else program
    )


def _by_planes(  # noqa: PLR0913, PLR0917 (conv3d's signature)
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> torch.Tensor:
    """Returns the convolution of (batch, channels, depth, rows, columns)."""
    batch, channels, _, rows, columns = x.shape
    outputs, inputs, window = weight.shape[:3]
    before = padding[0]
    if before:
        x = aten.constant_pad_nd.default(x, [0, 0, 0, 0, before, before], 0.0)
    depth = (x.shape[2] - dilation[0] * (window - 1) - 1) // stride[0] + 1
    last = stride[0] * (depth - 1) + 1
    layers = [
        aten.slice.Tensor(x, 2, at * dilation[0], at * dilation[0] + last, stride[0])
        for at in range(window)
    ]
    stacked = torch.stack(layers, 2) if window > 1 else layers[0].unsqueeze(2)
    planes = stacked.permute(0, 3, 1, 2, 4, 5)
    planes = planes.reshape(batch * depth, channels * window, rows, columns)
    flat: Any = weight.reshape(outputs, inputs * window, *weight.shape[3:])
    sizes = (stride[1:], padding[1:], dilation[1:], groups)
    result: torch.Tensor = aten.conv2d.default(planes, flat, bias, *sizes)
    volumes = result.reshape(batch, depth, outputs, *result.shape[2:])
    return volumes.permute(0, 2, 1, 3, 4)
