"""Computes at once what depends on no input.

Requires: nothing. Ensures: every call depends on what is in an input, or its result would be too large; one number
many times is that number, expanded; a choice that is the same everywhere is what it chooses.
"""

from __future__ import annotations

import operator
from typing import Any, cast

import torch
from torch.fx.node import map_arg

from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["fold_constants"]

LARGEST_GROWTH = 1 << 20
"""Elements that a folded result may have beyond what it is made from."""

aten = torch.ops.aten


@graph_pass(ensures=[settled("fold_constants")])
def fold_constants(program: Program) -> Program:
    """Returns the program with every input-independent value as a constant."""
    editor = Editor(program)
    folded = 0
    for node in editor.scan():
        if node.target is aten.cat.default and node.args != (args := _without_empty(*node.args)):
            node = editor.update(node, args)  # noqa: PLW2901 (the same node, in the copy)
        if node.target is aten.where.self and (chosen := _chosen(editor, node)) is not None:
            editor.replace(node, chosen)
            folded += 1
            continue
        if not _is_known(editor, node):
            continue
        value = _compute(editor, node)
        if value.numel() <= _most(editor, node):
            editor.replace(node, editor.add_constant(f"{node.name}_folded", value.contiguous()))
        elif _is_uniform(node):
            editor.replace(node, _expanded(editor, node, value))
        else:
            continue
        folded += 1
    return editor.finish(Step("fold_constants", {}, {"folded": folded})) if folded else program


def _without_empty(parts: Any, *rest: Any) -> tuple[Any, ...]:
    """Returns the arguments of a concatenation less what adds nothing to it."""
    full = [part for part in parts if part.meta["val"].numel() > 0]
    return (full or parts, *rest)


def _chosen(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    """Returns what a condition that is the same everywhere chooses, in the result's shape; None for another choice."""
    condition, one, other = cast("tuple[torch.fx.Node, ...]", node.args)
    if not editor.is_constant(condition):
        return None
    answers = editor.tensor(condition)
    if not answers.numel() or bool(answers.any()) != bool(answers.all()):
        return None
    chosen = one if bool(answers.any()) else other
    result = node.meta["val"]
    if node.name in editor.quant or chosen.meta["val"].dtype != result.dtype:
        return None
    if chosen.meta["val"].shape == result.shape:
        return chosen
    if editor.is_constant(chosen) and result.numel() <= _most(editor, node):
        value = editor.tensor(chosen).expand(result.shape).contiguous()
        return editor.add_constant(f"{node.name}_folded", value)
    return editor.call(aten.expand.default, (chosen, list(result.shape)), before=node, like=node)


def _expanded(editor: Editor, node: torch.fx.Node, value: torch.Tensor) -> torch.fx.Node:
    """Returns a value of one number as a single element, expanded."""
    one = value.flatten()[:1].reshape([1] * value.ndim)
    number = editor.add_constant(f"{node.name}_folded", one.clone())
    return editor.call(aten.expand.default, (number, list(value.shape)), before=node, like=node)


def _is_known(editor: Editor, node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    empty = isinstance(value, torch.Tensor) and value.numel() == 0
    inputs = [] if empty or traits_of(node).shape_only else node.all_input_nodes
    if not isinstance(value, torch.Tensor) or not all(editor.is_constant(n) for n in inputs):
        return False
    if node.name in editor.quant or any(n.name in editor.quant for n in inputs):
        return False
    tags = getattr(node.target, "tags", ())
    if torch.Tag.nondeterministic_seeded in tags or node.target is operator.getitem:
        return False
    return _is_uniform(node) or value.numel() <= _most(editor, node)


def _is_uniform(node: torch.fx.Node) -> bool:
    return traits_of(node).shape_only or node.target is aten.full.default


def _most(editor: Editor, node: torch.fx.Node) -> int:
    """Returns how many elements the folded result may have."""
    made_of = [n for n in node.all_input_nodes if editor.is_constant(n)]
    return LARGEST_GROWTH + sum(editor.tensor(n).numel() for n in made_of)


def _compute(editor: Editor, node: torch.fx.Node) -> Any:
    def known(used: torch.fx.Node) -> torch.Tensor:
        if editor.is_constant(used):
            return editor.tensor(used)
        like = used.meta["val"]
        return torch.empty(like.shape, dtype=like.dtype)

    args, kwargs = map_arg((node.args, dict(node.kwargs)), known)
    with torch.no_grad():
        return node.target(*args, **kwargs)  # type: ignore[operator]
