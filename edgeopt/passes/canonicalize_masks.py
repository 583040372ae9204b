"""Spells what models write to make an attention mask without lookups and needless logic.

Requires: constants are folded. Ensures: no index by constants takes every element in its order
(that is a reshape); no logic of a constant that decides nothing, or everything, is left.
transformers makes its masks so: ``mask[batch][:, position]``, and that with "all positions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import operators_where, traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["canonicalize_masks"]

aten = torch.ops.aten

LARGEST_LOOKUP = 1 << 24
"""Elements up to which it is asked what a lookup takes."""


@graph_pass(requires=[settled("fold_constants")], ensures=[settled("canonicalize_masks")])
def canonicalize_masks(program: Program) -> Program:
    """Returns the program with the computation of masks in its simplest form."""
    editor = Editor(program)
    changed = sum(_REWRITES[node.target](editor, node) for node in editor.scan(*_REWRITES))
    return (
        editor.finish(Step("canonicalize_masks", {}, {"changed": changed})) if changed else program
    )


def _lookup(editor: Editor, node: torch.fx.Node) -> bool:
    """A lookup of all elements in their order is a reshape."""
    value: Any = node.args[0]
    indices: Any = node.args[1]
    tensors = [None if i is None else editor.tensor(i) for i in indices if _known(editor, i)]
    shape = value.meta["val"].shape
    if len(tensors) != len(indices) or shape.numel() > LARGEST_LOOKUP:
        return False
    if node.meta["val"].numel() != shape.numel():
        return False
    places = torch.arange(shape.numel()).reshape(shape)
    result = aten.index.Tensor(places, tensors)
    if not torch.equal(result.flatten(), places.flatten()):
        return False
    args = (value, [int(d) for d in result.shape])
    editor.replace(node, editor.call(aten.reshape.default, args, before=node, like=node))
    return True


def _known(editor: Editor, index: Any) -> bool:
    return index is None or editor.is_constant(index)


def _logic(editor: Editor, node: torch.fx.Node) -> bool:
    """True and x is x, and False and x is False; the other way round for or."""
    neutral = traits_of(node).logic == "and"
    for constant, other in (node.args, node.args[::-1]):
        if not editor.is_constant(constant) or not isinstance(other, torch.fx.Node):
            continue
        tensor = editor.tensor(constant)  # type: ignore[arg-type]
        if {tensor.dtype, other.meta["val"].dtype} != {torch.bool}:
            continue
        if bool((tensor == neutral).all()):
            editor.replace(node, _spread(editor, node, other))
            return True
        if bool((tensor != neutral).all()):
            decided = torch.full(node.meta["val"].shape, not neutral)
            editor.replace(node, editor.add_constant(f"{node.name}_decided", decided))
            return True
    return False


def _spread(editor: Editor, node: torch.fx.Node, value: torch.fx.Node) -> torch.fx.Node:
    """Returns ``value`` in the shape that ``node`` has."""
    shape = [int(d) for d in node.meta["val"].shape]
    if list(value.meta["val"].shape) == shape:
        return value
    return editor.call(aten.expand.default, (value, shape), before=node, like=node)


_REWRITES: dict[Any, Callable[[Editor, torch.fx.Node], bool]] = {
    aten.index.Tensor: _lookup,
    **dict.fromkeys(operators_where(lambda row: bool(row.logic)), _logic),
}
