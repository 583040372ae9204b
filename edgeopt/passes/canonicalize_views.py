"""Spells every change of shape as reshape, permute, slice, expand or cat.

Requires: nothing. Ensures: no view, squeeze, unsqueeze, flatten, transpose, select, split,
chunk, unbind, stack or repeat is left; slices have all five arguments; a pad only adds.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["canonicalize_views"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("canonicalize_views")])
def canonicalize_views(program: Program) -> Program:
    """Returns the program with every change of shape in its canonical form."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan():
        rewrite = _REWRITES.get(node.target)
        if rewrite is not None:
            before = editor.changes
            rewrite(editor, node)
            changed += editor.changes != before
    return (
        editor.finish(Step("canonicalize_views", {}, {"changed": changed})) if changed else program
    )


def _shape(node: torch.fx.Node) -> list[int]:
    return [int(d) for d in node.meta["val"].shape]


def _as_reshape(editor: Editor, node: torch.fx.Node) -> None:
    """A view of permuted values needs a copy; reshape makes it where it must."""
    new = editor.call(aten.reshape.default, (node.args[0], _shape(node)), before=node, like=node)
    editor.replace(node, new)


def _as_permute(editor: Editor, node: torch.fx.Node) -> None:
    value: Any = node.args[0]
    rank = len(_shape(value))
    if rank < 2:  # noqa: PLR2004 (nothing to swap)
        editor.replace(node, value)
        return
    axes = list(range(rank))
    a, b = (node.args[1], node.args[2]) if len(node.args) > 1 else (0, 1)
    a, b = int(a) % rank, int(b) % rank  # type: ignore[arg-type]
    axes[a], axes[b] = axes[b], axes[a]
    new = editor.call(aten.permute.default, (value, axes), before=node, like=node)
    editor.replace(node, new)


def _sliced(
    editor: Editor, node: torch.fx.Node, value: Any, axis: int, start: int, end: int
) -> torch.fx.Node:
    return editor.call(aten.slice.Tensor, (value, axis, start, end, 1), before=node, like=node)


def _select(editor: Editor, node: torch.fx.Node) -> None:
    value, axis, index = node.args
    shape = _shape(value)  # type: ignore[arg-type]
    axis = int(axis) % len(shape)  # type: ignore[arg-type]
    start = int(index) % shape[axis]  # type: ignore[arg-type]
    part = _sliced(editor, node, value, axis, start, start + 1)
    new = editor.call(aten.reshape.default, (part, _shape(node)), before=node, like=node)
    editor.replace(node, new)


def _split(editor: Editor, node: torch.fx.Node) -> None:
    """Replaces each part that is used by a slice (and, for unbind, a reshape)."""
    value: Any = node.args[0]
    parts = node.meta["val"]
    at = 1 if node.target is aten.unbind.int else 2
    dim: Any = node.args[at] if len(node.args) > at else 0
    axis = int(dim) % len(_shape(value))
    keeps_axis = node.target is not aten.unbind.int
    sizes = [int(p.shape[axis]) if keeps_axis else 1 for p in parts]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    for user in list(node.users):
        if user.target is not operator.getitem:
            continue
        index = int(user.args[1]) % len(parts)  # type: ignore[arg-type]
        new = _sliced(editor, user, value, axis, starts[index], starts[index] + sizes[index])
        if not keeps_axis:
            new = editor.call(aten.reshape.default, (new, _shape(user)), before=user, like=user)
        editor.replace(user, new)


def _stack(editor: Editor, node: torch.fx.Node) -> None:
    values: Any = node.args[0]
    rank = len(_shape(node))
    axis = (int(node.args[1]) if len(node.args) > 1 else 0) % rank  # type: ignore[arg-type]
    shape = _shape(node)
    shape[axis] = 1
    parts = [editor.call(aten.reshape.default, (v, shape), before=node, like=node) for v in values]
    new = editor.call(aten.cat.default, (parts, axis), before=node, like=node)
    editor.replace(node, new)


def _slice(editor: Editor, node: torch.fx.Node) -> None:
    """Writes out all five arguments of a slice, with ends inside the shape."""
    arguments: list[Any] = [*node.args, *(None, 0, None, None, 1)[len(node.args) :]]
    value, axis, start, end, step = arguments
    size = _shape(value)
    axis = int(axis) % len(size)
    low, high, stride = slice(start, end, step).indices(size[axis])
    args = (value, axis, low, high, stride)
    if node.args != args:
        editor.update(node, args)


def _repeat(editor: Editor, node: torch.fx.Node) -> None:
    """A repeated axis of length 1 is expanded, a longer one is put together from copies."""
    value: Any = node.args[0]
    times: Any = node.args[1]
    shape = _shape(value)
    if len(times) > len(shape):
        shape = [1] * (len(times) - len(shape)) + shape
        value = editor.call(aten.reshape.default, (value, shape), before=node, like=node)
    wide = [t if d == 1 else d for t, d in zip(times, shape, strict=True)]
    if wide != shape:
        value = editor.call(aten.expand.default, (value, wide), before=node, like=node)
    for axis, (count, size) in enumerate(zip(times, shape, strict=True)):
        if size != 1 and count != 1:
            value = editor.call(aten.cat.default, ([value] * count, axis), before=node, like=node)
    editor.replace(node, value)


def _pad(editor: Editor, node: torch.fx.Node) -> None:
    """A pad that crops is a slice, of what the pad behind or in front of it adds."""
    arguments: Any = node.args
    value, pads, *fill = arguments
    ends = [int(end) for end in pads]
    if min(ends, default=0) >= 0:
        return
    new: Any = value
    if max(ends) > 0:
        added = [max(end, 0) for end in ends]
        new = editor.call(
            aten.constant_pad_nd.default, (value, added, *fill), before=node, like=node
        )
    rank = len(_shape(node))
    for at in range(0, len(ends), 2):
        start, end = (max(-e, 0) for e in ends[at : at + 2])
        axis = rank - 1 - at // 2
        if start or end:
            new = _sliced(editor, node, new, axis, start, _shape(new)[axis] - end)
    editor.replace(node, new)


_REWRITES: dict[Any, Callable[[Editor, torch.fx.Node], None]] = {
    **dict.fromkeys(
        (
            aten._unsafe_view.default,  # noqa: SLF001 (an operator's name)
            aten.view.default,
            aten.flatten.using_ints,
            aten.unflatten.int,
            aten.squeeze.default,
            aten.squeeze.dim,
            aten.squeeze.dims,
            aten.unsqueeze.default,
        ),
        _as_reshape,
    ),
    aten.transpose.int: _as_permute,
    aten.t.default: _as_permute,
    aten.select.int: _select,
    aten.slice.Tensor: _slice,
    aten.stack.default: _stack,
    aten.constant_pad_nd.default: _pad,
    aten.repeat.default: _repeat,
    **dict.fromkeys(
        (
            aten.split.Tensor,
            aten.split_with_sizes.default,
            aten.split.sizes,
            aten.chunk.default,
            aten.tensor_split.sections,
            aten.unbind.int,
        ),
        _split,
    ),
}
