"""Spells pooling as mean, avg_pool2d and max_pool2d.

Requires: nothing. Ensures: no adaptive pooling is left where its windows are equal; pooling of one
axis is pooling of two, the first of length 1; max_pool2d with indices that nobody reads is
max_pool2d; the arguments of pooling and mean are written out.
"""

from __future__ import annotations

import operator
from typing import Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inline
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["canonicalize_pooling"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("canonicalize_pooling")])
def canonicalize_pooling(program: Program) -> Program:
    """Returns the program with pooling in its canonical form."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan(*_REWRITES):
        before = editor.changes
        new = _REWRITES[node.target](editor, node)
        if new is not None:
            editor.replace(node, new)
        changed += editor.changes != before
    return (
        editor.finish(Step("canonicalize_pooling", {}, {"changed": changed}))
        if changed
        else program
    )


def _pooled(
    editor: Editor, node: torch.fx.Node, target: Any, args: tuple[Any, ...]
) -> torch.fx.Node:
    """Returns pooling over rows and columns, with a batch around a picture that has none."""
    value, *rest = args
    shape = [int(d) for d in value.meta["val"].shape]
    if len(shape) != 3:  # noqa: PLR2004 (channels, rows, columns)
        return editor.call(target, args, before=node, like=node)
    batch = editor.call(aten.reshape.default, (value, [1, *shape]), before=node, like=node)
    result = editor.call(target, (batch, *rest), before=node, like=node)
    shape = [int(d) for d in result.meta["val"].shape]
    return editor.call(aten.reshape.default, (result, shape[1:]), before=node, like=node)


def _adaptive_max(editor: Editor, node: torch.fx.Node) -> None:
    """Indices count over the whole input, so they are not those of windows; nobody may read them."""
    value: Any = node.args[0]
    size, out = value.meta["val"].shape[-2:], node.meta["val"][0].shape[-2:]
    if _indices_are_read(node):
        return
    if any(s % o for s, o in zip(size, out, strict=True)):
        inline(editor, node, _largest_of_windows)
        return
    window = [s // o for s, o in zip(size, out, strict=True)]
    args = (value, window, window, [0, 0], [1, 1], False)
    _replace_values(editor, node, args)


def _largest_of_windows(x: torch.Tensor, output_size: list[int]) -> tuple[torch.Tensor]:
    """Returns the largest values of windows that overlap: row by row, then column by column."""
    for axis, count in ((x.ndim - 2, output_size[0]), (x.ndim - 1, output_size[1])):
        size = x.shape[axis]
        ends = [(size * at // count, -(-size * (at + 1) // count)) for at in range(count)]
        parts = [aten.slice.Tensor(x, axis, low, high) for low, high in ends]
        x = torch.cat([part.amax(axis, keepdim=True) for part in parts], axis)
    return (x,)


def _indices_are_read(node: torch.fx.Node) -> bool:
    return any(user.users and user.args[1] != 0 for user in node.users)


def _replace_values(editor: Editor, node: torch.fx.Node, args: tuple[Any, ...]) -> None:
    """Lets whoever reads the first of two results read those of max_pool2d."""
    new = _pooled(editor, node, aten.max_pool2d.default, args)
    for user in list(node.users):
        if user.target is operator.getitem and user.args[1] == 0:
            editor.replace(user, new)


def _pooled_flat(
    editor: Editor, node: torch.fx.Node, target: Any, args: tuple[Any, ...]
) -> torch.fx.Node:
    """Returns pooling along the last axis: the lists in ``args`` have one number for it."""
    value: Any = node.args[0]
    neutral = [1, 1, 0, 1]  # kernel, stride, padding, dilation of the axis of length 1
    wide = [[neutral[i], *a] if isinstance(a, list) else a for i, a in enumerate(args)]
    shape = [int(d) for d in value.meta["val"].shape]
    flat = editor.call(
        aten.reshape.default, (value, [*shape[:-1], 1, shape[-1]]), before=node, like=node
    )
    result = _pooled(editor, node, target, (flat, *wide))
    shape = [int(d) for d in node.meta["val"].shape]
    return editor.call(aten.reshape.default, (result, shape), before=node, like=node)


def _max_pool1d(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    args: list[Any] = [*node.args[1:], *([], 0, 1, False)[len(node.args) - 2 :]]
    kernel, stride, padding, dilation = (_single(a) for a in args[:4])
    sizes = (kernel, stride or kernel, padding, dilation, bool(args[4]))
    return _pooled_flat(editor, node, aten.max_pool2d.default, sizes)


def _avg_pool1d(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    args: list[Any] = [*node.args[1:], *([], 0, False, True)[len(node.args) - 2 :]]
    kernel, stride, padding = (_single(a) for a in args[:3])
    sizes = (kernel, stride or kernel, padding, bool(args[3]), bool(args[4]), None)
    return _pooled_flat(editor, node, aten.avg_pool2d.default, sizes)


def _single(value: Any) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def _mean_of_all(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    value: Any = node.args[0]
    if node.kwargs or not value.meta["val"].ndim:
        return None
    axes = list(range(value.meta["val"].ndim))
    return editor.call(aten.mean.dim, (value, axes, False), before=node, like=node)


def _max_pool(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    args: list[Any] = [*node.args, *([], 0, 1, False)[len(node.args) - 2 :]]
    kernel = _pair(args[1])
    stride = _pair(args[2]) if args[2] else kernel
    args = [args[0], kernel, stride, _pair(args[3]), _pair(args[4]), bool(args[5])]
    if node.target is aten.max_pool2d.default:
        return _batched(editor, node, args)
    if not _indices_are_read(node):
        _replace_values(editor, node, tuple(args))
    return None


def _avg_pool(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    args: list[Any] = [*node.args, *([], 0, False, True, None)[len(node.args) - 2 :]]
    kernel = _pair(args[1])
    stride = _pair(args[2]) if args[2] else kernel
    flags = (bool(args[4]), bool(args[5]), args[6])
    return _batched(editor, node, [args[0], kernel, stride, _pair(args[3]), *flags])


def _batched(editor: Editor, node: torch.fx.Node, args: list[Any]) -> torch.fx.Node | None:
    """Writes out the arguments; returns the pooling of a batch where there was none."""
    if args[0].meta["val"].ndim == 3:  # noqa: PLR2004 (channels, rows, columns)
        return _pooled(editor, node, node.target, tuple(args))
    _write_out(editor, node, args)
    return None


def _mean(editor: Editor, node: torch.fx.Node) -> None:
    """Writes out the axes, as positive numbers, and whether they are kept."""
    rank = len(node.args[0].meta["val"].shape)  # type: ignore[union-attr]
    axes: Any = node.args[1] if len(node.args) > 1 and node.args[1] else range(rank)
    axes = [axes] if isinstance(axes, int) else list(axes)
    keep = bool(node.args[2]) if len(node.args) > 2 else False  # noqa: PLR2004
    _write_out(editor, node, [node.args[0], sorted(a % rank for a in axes), keep])


def _write_out(editor: Editor, node: torch.fx.Node, args: list[Any]) -> None:
    if node.args != tuple(args):
        editor.update(node, tuple(args))


def _pair(value: Any) -> list[int]:
    items = [value] if isinstance(value, int) else list(value)
    return items * 2 if len(items) == 1 else items


_REWRITES: dict[Any, Any] = {
    aten.max_pool2d.default: _max_pool,
    aten.max_pool2d_with_indices.default: _max_pool,
    aten.avg_pool2d.default: _avg_pool,
    aten.adaptive_max_pool2d.default: _adaptive_max,
    aten.max_pool1d.default: _max_pool1d,
    aten.avg_pool1d.default: _avg_pool1d,
    aten.mean.default: _mean_of_all,
    aten.mean.dim: _mean,
}
