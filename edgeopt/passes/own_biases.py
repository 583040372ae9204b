"""Gives every weighted operator a bias of its own.

Requires: written-out convolutions. Ensures: every convolution and linear with a constant weight
has a bias constant that no other node uses, so that corrections and int32 grids have a place.
"""

from __future__ import annotations

import torch

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import WEIGHTED
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["own_biases"]


@graph_pass(requires=[settled("canonicalize_convolutions")], ensures=[settled("own_biases")])
def own_biases(program: Program) -> Program:
    """Returns the program with one bias for each weighted operator."""
    editor = Editor(program)
    added = copied = 0
    for node in editor.scan(*WEIGHTED):
        _, weight, bias = ops.weighted_parts(node)
        if not editor.is_constant(weight) or (bias is not None and not editor.is_constant(bias)):
            continue
        if bias is not None and len(bias.users) == 1:
            continue
        channels = node.meta["val"].shape[ops.result_channel_axis(node)]
        dtype = editor.tensor(weight).dtype
        value = torch.zeros(channels, dtype=dtype) if bias is None else editor.tensor(bias).clone()
        new = editor.add_constant(f"{node.name}_bias", value)
        editor.update(node, (*node.args[:2], new, *node.args[3:]), kwargs={})
        added += bias is None
        copied += bias is not None
    if not added + copied:
        return program
    return editor.finish(Step("own_biases", {}, {"added": added, "copied": copied}))
