"""Lets convolutions pad for themselves where a pad in front of them adds the same on both sides.

Requires: canonical convolutions. Ensures: a symmetric zero pad whose only user is a convolution is
part of it; other pads with a constant say which.
"""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["fold_padding"]

aten = torch.ops.aten


@graph_pass(requires=[settled("canonicalize_convolutions")], ensures=[settled("fold_padding")])
def fold_padding(program: Program) -> Program:
    """Returns the program with symmetric zero pads inside their convolutions."""
    editor = Editor(program)
    folded = written = 0
    for pad in editor.scan(aten.constant_pad_nd.default):
        if len(pad.args) == 2:  # noqa: PLR2004 (without the value)
            pad = editor.update(pad, (*pad.args, 0.0))  # noqa: PLW2901 (the same node, in the copy)
            written += 1
        user = next(iter(pad.users)) if len(pad.users) == 1 else None
        if user is not None and _fold(editor, pad, user):
            editor.erase(pad)
            folded += 1
    if not folded + written:
        return program
    return editor.finish(Step("fold_padding", {}, {"folded": folded}))


def _fold(editor: Editor, pad: torch.fx.Node, conv: torch.fx.Node) -> bool:
    if not ops.is_convolution(conv) or conv.args[0] is not pad:
        return False
    rank = conv.meta["val"].ndim - 2
    sizes: Any = pad.args[1]
    if pad.args[2] != 0 or len(sizes) != 2 * rank:
        return False
    pairs = [(sizes[2 * i], sizes[2 * i + 1]) for i in range(rank)][::-1]
    if any(low != high or low < 0 for low, high in pairs):
        return False
    padding: Any = conv.args[4]
    total = [p + low for p, (low, _) in zip(padding, pairs, strict=True)]
    editor.update(conv, (pad.args[0], *conv.args[1:4], total, *conv.args[5:]))
    return True
