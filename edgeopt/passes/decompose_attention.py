"""Spells scaled dot-product attention as two products and a softmax.

Requires: nothing. Ensures: no scaled_dot_product_attention is left. For runtimes that have no
such operator; it changes no grid, since attention stays in float. A row that the mask hides whole is
0, as in torch.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from edgeopt.errors import ProgramError
from edgeopt.ir.conditions import no_calls
from edgeopt.ir.edit import Editor
from edgeopt.ir.masks import hidden_rows, may_hide_rows
from edgeopt.ir.program import Program, Step
from edgeopt.ir.source import source_line
from edgeopt.passes.base import graph_pass

__all__ = ["decompose_attention"]

aten = torch.ops.aten

LOWEST = -1e30
"""Stands for -inf: added to any score it leaves itself, and a difference of two of it is a number."""

FLOAT_MIN = float(torch.finfo(torch.float32).min)


@graph_pass(ensures=[no_calls(aten.scaled_dot_product_attention.default)])
def decompose_attention(program: Program) -> Program:
    """Returns the program with attention as matmul, softmax, matmul.

    Raises:
        ProgramError: Attention with dropout, which no inference program has.
    """
    editor = Editor(program)
    decomposed = 0
    for node in editor.scan(aten.scaled_dot_product_attention.default):
        editor.replace(node, _decomposed(editor, node))
        decomposed += 1
    if not decomposed:
        return program
    return editor.finish(Step("decompose_attention", {}, {"decomposed": decomposed}))


def _decomposed(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    query, key, value, *rest = node.args
    names = ("attn_mask", "dropout_p", "is_causal")
    arguments = {**dict(zip(names, rest, strict=False)), **node.kwargs}
    if arguments.get("dropout_p", 0.0):
        raise ProgramError("attention with dropout", where=source_line(node) or node.name)
    width = query.meta["val"].shape[-1]  # type: ignore[union-attr]
    scale = arguments.get("scale")
    factor = 1 / math.sqrt(width) if scale is None else scale

    def call(target: Any, *args: Any) -> torch.fx.Node:
        return editor.call(target, args, before=node, like=node)

    if arguments.get("enable_gqa"):
        key, value = (_repeated(call, query, part) for part in (key, value))
    rank = key.meta["val"].ndim  # type: ignore[union-attr]
    axes = [*range(rank - 2), rank - 1, rank - 2]
    steepness = editor.add_constant(
        f"{node.name}_scale", torch.tensor([factor], dtype=torch.float32)
    )
    scores = call(aten.matmul.default, query, call(aten.permute.default, key, axes))
    scores = call(aten.mul.Tensor, scores, steepness)
    mask = _mask(editor, node, arguments)
    if mask is not None:
        scores = call(aten.add.Tensor, scores, mask)
    mixed = call(aten.matmul.default, call(aten.softmax.int, scores, -1), value)
    attn_mask: Any = arguments.get("attn_mask")
    return _without_hidden_rows(editor, node, attn_mask, mixed)


def _repeated(call: Any, query: Any, part: Any) -> torch.fx.Node:
    """Repeats each key or value head for the query heads that share it."""
    batch, heads, length, width = (int(d) for d in part.meta["val"].shape)
    times = int(query.meta["val"].shape[1]) // heads
    spread = call(aten.reshape.default, part, [batch, heads, 1, length, width])
    spread = call(aten.expand.default, spread, [batch, heads, times, length, width])
    repeated: torch.fx.Node = call(
        aten.reshape.default, spread, [batch, heads * times, length, width]
    )
    return repeated


def _mask(editor: Editor, node: torch.fx.Node, given: dict[str, Any]) -> torch.fx.Node | None:
    """Returns what is added to the scores: 0 where attention may look, else a large negative."""
    mask: torch.fx.Node | None = given.get("attn_mask")
    if given.get("is_causal"):
        rows = node.args[0].meta["val"].shape[-2]  # type: ignore[union-attr]
        columns = node.args[1].meta["val"].shape[-2]  # type: ignore[union-attr]
        hidden = torch.full((rows, columns), LOWEST).triu(1)
        return editor.add_constant(f"{node.name}_causal", hidden)
    if mask is None or mask.meta["val"].dtype is not torch.bool:
        return _bounded(editor, node, mask)
    if editor.is_constant(mask):
        tensor = editor.tensor(mask)
        return editor.add_constant(
            f"{node.name}_mask", torch.zeros(tensor.shape).masked_fill(~tensor, LOWEST)
        )
    zero = editor.add_constant(f"{node.name}_seen", torch.zeros(1))
    low = editor.add_constant(f"{node.name}_hidden", torch.full((1,), LOWEST))
    return editor.call(aten.where.self, (mask, zero, low), before=node, like=node)


def _bounded(
    editor: Editor, node: torch.fx.Node, mask: torch.fx.Node | None
) -> torch.fx.Node | None:
    """A mask with infinities gives NaN in some runtimes; a large number does not."""
    if mask is None:
        return None
    if editor.is_constant(mask):
        tensor = editor.tensor(mask)
        if not bool(torch.isinf(tensor).any()):
            return mask
        return editor.add_constant(f"{mask.name}_bounded", tensor.clamp(min=LOWEST))
    if not may_hide_rows(mask, editor.constants):
        return mask
    return editor.call(aten.clamp.default, (mask, LOWEST, None), before=node, like=node)


def _without_hidden_rows(
    editor: Editor, node: torch.fx.Node, mask: torch.fx.Node | None, mixed: torch.fx.Node
) -> torch.fx.Node:
    """Puts 0 into the rows that the mask hides whole."""
    if mask is None or not may_hide_rows(mask, editor.constants):
        return mixed
    if editor.is_constant(mask):
        factor = (~hidden_rows(editor.tensor(mask))).to(torch.float32)
        return _product(editor, node, mixed, editor.add_constant(f"{node.name}_rows", factor))

    def call(target: Any, *args: Any) -> torch.fx.Node:
        return editor.call(target, args, before=node, like=node)

    def number(name: str, value: float) -> torch.fx.Node:
        return editor.add_constant(f"{node.name}_{name}", torch.full((1,), value))

    places, least = mask, FLOAT_MIN
    if mask.meta["val"].dtype is torch.bool:
        places = call(aten.where.self, mask, number("open", 0.0), number("shut", -1.0))
        least = -0.5
    highest = call(aten.amax.default, places, [-1], True)  # noqa: FBT003 (keeps the axis)
    alive = call(aten.ge.Tensor, highest, number("least", least))
    return call(aten.where.self, alive, mixed, number("nothing", 0.0))


def _product(
    editor: Editor, node: torch.fx.Node, left: torch.fx.Node, right: torch.fx.Node
) -> torch.fx.Node:
    return editor.call(aten.mul.Tensor, (left, right), before=node, like=node)
