"""Spells arithmetic as add, sub, mul and div of tensors.

Requires: nothing. Ensures: no scalar operand is left in float arithmetic (it is a constant of one
element), no alpha, no rsub, no division by a constant, no small integer power, no masked_fill, no
where between scalars, no logic of what are no truth values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["canonicalize_arithmetic"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("canonicalize_arithmetic")])
def canonicalize_arithmetic(program: Program) -> Program:
    """Returns the program with arithmetic in its canonical form."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan():
        rewrite = _REWRITES.get(node.target)
        new = rewrite(editor, node) if rewrite else None
        if new is not None and new.name != node.name:
            editor.replace(node, new)
        changed += new is not None
    return (
        editor.finish(Step("canonicalize_arithmetic", {}, {"changed": changed}))
        if changed
        else program
    )


def _operand(editor: Editor, node: torch.fx.Node, value: Any, like: torch.dtype) -> torch.fx.Node:
    if isinstance(value, torch.fx.Node):
        return value
    shape = [1] if node.meta["val"].ndim else []
    return editor.add_constant(f"{node.name}_scalar", torch.full(shape, value, dtype=like))


def _binary(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    left, right = node.args[0], node.args[1]
    alpha = node.kwargs.get("alpha", 1)
    inverse = _tensor_form(node.target) is aten.div.Tensor and _is_constant(editor, right)
    if all(isinstance(a, torch.fx.Node) for a in (left, right)) and alpha == 1 and not inverse:
        return None
    dtype = node.meta["val"].dtype
    left, right = _operand(editor, node, left, dtype), _operand(editor, node, right, dtype)
    if inverse and dtype.is_floating_point:
        flipped = editor.add_constant(f"{node.name}_factor", 1 / editor.tensor(right).to(dtype))
        return editor.call(aten.mul.Tensor, (left, flipped), before=node, like=node)
    if alpha != 1:
        factor = _operand(editor, node, alpha, dtype)
        right = editor.call(aten.mul.Tensor, (right, factor), before=node, like=node)
    return editor.update(node, (left, right), kwargs={}, target=_tensor_form(node.target))


def _is_constant(editor: Editor, value: Any) -> bool:
    return editor.is_constant(value) or isinstance(value, (int, float))


def _rsub(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    """rsub(x, other, alpha) is other - alpha * x."""
    x, other, *rest = node.args
    alpha = rest[0] if rest else node.kwargs.get("alpha", 1)
    dtype = node.meta["val"].dtype
    if alpha != 1:
        factor = _operand(editor, node, alpha, dtype)
        x = editor.call(aten.mul.Tensor, (x, factor), before=node, like=node)
    left = _operand(editor, node, other, dtype)
    return editor.call(aten.sub.Tensor, (left, x), before=node, like=node)


def _power(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    x, exponent = cast("tuple[torch.fx.Node, Any]", node.args)
    if exponent == 0.5:  # noqa: PLR2004
        return editor.call(aten.sqrt.default, (x,), before=node, like=node)
    # Not of truth values, nor of integers to a real power.
    same = x.meta["val"].dtype is node.meta["val"].dtype
    if exponent not in (2, 3) or not same:
        return None
    power = editor.call(aten.mul.Tensor, (x, x), before=node, like=node)
    if exponent == 3:  # noqa: PLR2004
        power = editor.call(aten.mul.Tensor, (power, x), before=node, like=node)
    return power


def _masked_fill(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    x, mask, value = node.args
    filler = _operand(editor, node, value, node.meta["val"].dtype)
    return editor.call(aten.where.self, (mask, filler, x), before=node, like=node)


def _where(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    dtype = node.meta["val"].dtype
    operand, other = (_operand(editor, node, value, dtype) for value in node.args[1:3])
    args = (node.args[0], operand, other)
    return editor.call(aten.where.self, args, before=node, like=node)


def _tensor_form(target: Any) -> Any:
    """Returns the overload that takes tensors only."""
    return traits_of(target).canonical or target


def _logic(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    """A number is true where it is not 0."""
    arguments = list(node.args)
    for at, value in enumerate(arguments):
        if isinstance(value, torch.fx.Node) and value.meta["val"].dtype is not torch.bool:
            arguments[at] = editor.call(aten.ne.Scalar, (value, 0), before=node, like=node)
    return editor.update(node, tuple(arguments)) if arguments != list(node.args) else None


_REWRITES: dict[Any, Callable[[Editor, torch.fx.Node], torch.fx.Node | None]] = {
    **dict.fromkeys((aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor), _binary),
    **dict.fromkeys((aten.add.Scalar, aten.sub.Scalar, aten.mul.Scalar, aten.div.Scalar), _binary),
    aten.rsub.Scalar: _rsub,
    aten.rsub.Tensor: _rsub,
    aten.pow.Tensor_Scalar: _power,
    aten.masked_fill.Scalar: _masked_fill,
    aten.masked_fill.Tensor: _masked_fill,
    **dict.fromkeys(
        (
            aten.logical_and.default,
            aten.logical_or.default,
            aten.logical_xor.default,
            aten.logical_not.default,
        ),
        _logic,
    ),
    **dict.fromkeys((aten.where.ScalarSelf, aten.where.ScalarOther, aten.where.Scalar), _where),
}
