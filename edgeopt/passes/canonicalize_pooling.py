"""Spells pooling to one value as mean, and other adaptive pooling as avg_pool2d.

Requires: nothing. Ensures: no adaptive average pooling is left where its windows are equal;
max_pool2d with indices that nobody reads is max_pool2d; the arguments of both are written out.
"""

from __future__ import annotations

import operator
from typing import Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step

__all__ = ["canonicalize_pooling"]

aten = torch.ops.aten


def canonicalize_pooling(program: Program) -> Program:
    """Returns the program with pooling in its canonical spelling."""
    editor = Editor(program)
    changed = 0
    for node in editor.calls(*_REWRITES):
        new = _REWRITES[node.target](editor, node)
        if new is not None:
            editor.replace(node, new)
            changed += 1
    return (
        editor.finish(Step("canonicalize_pooling", {}, {"changed": changed}))
        if changed
        else program
    )


def _adaptive(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    value: Any = node.args[0]
    size, out = value.meta["val"].shape, node.meta["val"].shape
    rank = 1 if node.target is aten.adaptive_avg_pool1d.default else 2
    axes = list(range(len(size) - rank, len(size)))
    if all(out[a] == 1 for a in axes):
        return editor.call(aten.mean.dim, (value, axes, True), before=node, like=node)
    if rank == 1 or any(size[a] % out[a] for a in axes):
        return None
    window = [size[a] // out[a] for a in axes]
    args = (value, window, window, [0, 0], False, True, None)
    return editor.call(aten.avg_pool2d.default, args, before=node, like=node)


def _max_pool(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    args: list[Any] = [*node.args, *([], 0, 1, False)[len(node.args) - 2 :]]
    kernel = _pair(args[1])
    stride = _pair(args[2]) if args[2] else kernel
    args = [args[0], kernel, stride, _pair(args[3]), _pair(args[4]), bool(args[5])]
    if node.target is aten.max_pool2d.default:
        node.args = tuple(args)
        return None
    if any(user.args[1] != 0 for user in node.users if user.target is operator.getitem):
        return None
    new = editor.call(aten.max_pool2d.default, tuple(args), before=node, like=node)
    for user in list(node.users):
        editor.replace(user, new)
    return None


def _avg_pool(_: Editor, node: torch.fx.Node) -> None:
    args: list[Any] = [*node.args, *([], 0, False, True, None)[len(node.args) - 2 :]]
    kernel = _pair(args[1])
    stride = _pair(args[2]) if args[2] else kernel
    node.args = (args[0], kernel, stride, _pair(args[3]), bool(args[4]), bool(args[5]), args[6])


def _mean(_: Editor, node: torch.fx.Node) -> None:
    """Writes out the axes, as positive numbers, and whether they are kept."""
    rank = len(node.args[0].meta["val"].shape)  # type: ignore[union-attr]
    axes: Any = node.args[1] if len(node.args) > 1 and node.args[1] else range(rank)
    axes = [axes] if isinstance(axes, int) else list(axes)
    keep = bool(node.args[2]) if len(node.args) > 2 else False  # noqa: PLR2004
    node.args = (node.args[0], sorted(a % rank for a in axes), keep)


def _pair(value: Any) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * 2 if len(items) == 1 else items


_REWRITES: dict[Any, Any] = {
    aten.adaptive_avg_pool1d.default: _adaptive,
    aten.adaptive_avg_pool2d.default: _adaptive,
    aten._adaptive_avg_pool2d.default: _adaptive,  # noqa: SLF001 (an operator's name)
    aten.max_pool2d.default: _max_pool,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.avg_pool2d.default: _avg_pool,
    aten.mean.dim: _mean,
}
