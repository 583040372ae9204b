"""Spells convolutions with numbers for padding, on batches, all arguments written out.

Requires: nothing. Ensures: every convolution's arguments are lists of one number an axis; no
padding is a word ("same"); conv_transpose1d is conv_transpose2d of height 1; every input of a
convolution has a batch axis.
"""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.conditions import no_calls
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import CONVOLUTIONS, operators_where, traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass

__all__ = ["canonicalize_convolutions"]

aten = torch.ops.aten

_WORDS = operators_where(lambda row: row.canonical in CONVOLUTIONS)
"""Convolutions whose padding is a word."""


@graph_pass(ensures=[no_calls(*_WORDS, aten.conv_transpose1d.default)])
def canonicalize_convolutions(program: Program) -> Program:
    """Returns the program with convolutions in their canonical form."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan(*_WORDS):
        editor.replace(node, _with_numbers(editor, node))
        changed += 1
    for node in editor.scan(aten.conv_transpose1d.default):
        editor.replace(node, _as_two_dimensional(editor, node))
        changed += 1
    for node in editor.scan(*CONVOLUTIONS):
        args = _written_out(node)
        if node.args != args:
            node = editor.update(node, args)  # noqa: PLW2901 (the same node, in the copy)
            changed += 1
        if node.meta["val"].ndim == _rank(node) + 1:
            editor.replace(node, _on_a_batch(editor, node))
            changed += 1
    if not changed:
        return program
    return editor.finish(Step("canonicalize_convolutions", {}, {"changed": changed}))


def _rank(conv: torch.fx.Node) -> int:
    weight: Any = conv.args[1]
    return int(weight.meta["val"].ndim) - 2


def _spread(value: Any, rank: int) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * rank if len(items) == 1 else items


def _given(conv: torch.fx.Node, *defaults: Any) -> list[Any]:
    """Returns the arguments behind input and weight, with what was left out."""
    arguments = list(conv.args[2:])
    return arguments + list(defaults[len(arguments) :])


def _with_numbers(editor: Editor, conv: torch.fx.Node) -> torch.fx.Node:
    """Padding "same" adds the odd element at the end, as torch does."""
    rank = _rank(conv)
    value: Any = conv.args[0]
    bias, stride, word, dilation, groups = _given(conv, None, 1, "valid", 1, 1)
    dilation = _spread(dilation, rank)
    weight: Any = conv.args[1]
    window = weight.meta["val"].shape[2:]
    total = [d * (k - 1) if word == "same" else 0 for d, k in zip(dilation, window, strict=True)]
    low = [t // 2 for t in total]
    if any(t % 2 for t in total):
        ends = [side for t in reversed(total) for side in (t // 2, t - t // 2)]
        value = editor.call(
            aten.constant_pad_nd.default, (value, ends, 0.0), before=conv, like=conv
        )
        low = [0] * rank
    args = (value, weight, bias, _spread(stride, rank), low, dilation, groups)
    return editor.call(traits_of(conv).canonical, args, before=conv, like=conv)


def _as_two_dimensional(editor: Editor, conv: torch.fx.Node) -> torch.fx.Node:
    value, weight, *_ = conv.args
    bias, stride, padding, extra, groups, dilation = _given(conv, None, 1, 0, 0, 1, 1)
    flat = _unsqueezed(editor, conv, value)
    tall = _unsqueezed(editor, conv, weight)
    spread = [_spread(v, 1)[0] for v in (stride, padding, extra, dilation)]
    sizes = [[1, spread[0]], [0, spread[1]], [0, spread[2]], groups, [1, spread[3]]]
    result = editor.call(
        aten.conv_transpose2d.input, (flat, tall, bias, *sizes), before=conv, like=conv
    )
    shape = [int(d) for d in conv.meta["val"].shape]
    return editor.call(aten.reshape.default, (result, shape), before=conv, like=conv)


def _unsqueezed(editor: Editor, conv: torch.fx.Node, value: Any) -> torch.fx.Node:
    """Returns ``value`` with an axis of length 1 in front of its last."""
    if editor.is_constant(value):
        tensor = editor.tensor(value).unsqueeze(-2)
        return editor.add_constant(f"{value.name}_tall", tensor)
    shape = [int(d) for d in value.meta["val"].shape]
    shape.insert(-1, 1)
    return editor.call(aten.reshape.default, (value, shape), before=conv, like=conv)


def _written_out(conv: torch.fx.Node) -> tuple[Any, ...]:
    rank = _rank(conv)
    lists: tuple[int, ...] = (1, 2, 3)
    defaults: tuple[Any, ...] = (None, 1, 0, 1, 1)
    if ops.is_transposed(conv):
        lists, defaults = (1, 2, 3, 5), (None, 1, 0, 0, 1, 1)
    args = _given(conv, *defaults)
    args = [_spread(a, rank) if at in lists else a for at, a in enumerate(args)]
    return (*conv.args[:2], *args)


def _on_a_batch(editor: Editor, conv: torch.fx.Node) -> torch.fx.Node:
    value: Any = conv.args[0]
    batch = [1, *(int(d) for d in value.meta["val"].shape)]
    one = editor.call(aten.reshape.default, (value, batch), before=conv, like=conv)
    result = editor.call(conv.target, (one, *conv.args[1:]), before=conv, like=conv)
    shape = [int(d) for d in conv.meta["val"].shape]
    return editor.call(aten.reshape.default, (result, shape), before=conv, like=conv)
