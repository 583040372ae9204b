"""Numbers that a model reads off tensors and gives to operators: ``x[:, i]``, ``x * scale.item()``.

A program has tensors only. The operators take the tensor itself in the number's place, where torch has such a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from edgeopt.errors import CaptureError
from edgeopt.ir.selections import insert_call
from edgeopt.ir.source import operator_name, source_line

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["use_tensors_for_numbers"]

aten = torch.ops.aten

_READS = ("_local_scalar_dense", "item")
"""Those that make a number of a tensor."""

_CHECKS = ("_assert_scalar", "sym_constrain_range", "sym_constrain_range_for_size")


def use_tensors_for_numbers(graph: torch.fx.Graph) -> None:
    """Rewrites the operators that read a number as those that read its tensor.

    Args:
        graph: Of an exported program, functional.

    Raises:
        CaptureError: An operator takes numbers only.
    """
    reads = [node for node in graph.nodes if _opname(node) in _READS]
    if reads:
        _drop_checks(graph)
    for node in reads:
        tensor: Any = node.args[0]
        for user in list(node.users):
            if user.target not in _FORMS:
                raise CaptureError(
                    f"{operator_name(user)} is given a number that the model reads off a tensor",
                    where=source_line(user) or source_line(node) or user.name,
                    hint="give it the tensor (torch.where, torch.minimum, index_select), or read the number outside",
                )
            _FORMS[user.target](user, node, tensor)
        graph.erase_node(node)


def _opname(node: torch.fx.Node) -> str:
    return str(getattr(node.target, "_opname", ""))


def _drop_checks(graph: torch.fx.Graph) -> None:
    """Drops what torch.export asserts of numbers, and what is computed for that alone."""
    for node in reversed(list(graph.nodes)):
        is_check = _opname(node) in _CHECKS
        is_number = node.op == "call_function" and not _has_tensors(node)
        if is_check or (is_number and not node.users and _opname(node) not in _READS):
            graph.erase_node(node)


def _has_tensors(node: torch.fx.Node) -> bool:
    leaves = pytree.tree_leaves(node.meta.get("val"))
    return any(isinstance(leaf, torch.Tensor) for leaf in leaves)


def _arithmetic(user: torch.fx.Node, number: torch.fx.Node, tensor: torch.fx.Node) -> None:
    scalar = insert_call(user, aten.reshape.default, (tensor, []))
    user.replace_input_with(number, scalar)


def _subtracted_from(user: torch.fx.Node, number: torch.fx.Node, tensor: torch.fx.Node) -> None:
    """``number - x``."""
    del number
    x = user.args[0]
    scalar = insert_call(user, aten.reshape.default, (tensor, []))
    user.target, user.args = aten.sub.Tensor, (scalar, x)


def _select(user: torch.fx.Node, number: torch.fx.Node, tensor: torch.fx.Node) -> None:
    """``x[:, i]``; a negative place counts from the end."""
    del number
    x, axis, _ = user.args
    size = x.meta["val"].shape[axis]  # type: ignore[union-attr]
    place = insert_call(user, aten.reshape.default, (tensor, [1]))
    place = insert_call(user, aten.remainder.Scalar, (place, size))
    part = insert_call(user, aten.index_select.default, (x, axis, place))
    user.target, user.args = aten.squeeze.dim, (part, axis)


def _filled(user: torch.fx.Node, number: torch.fx.Node, tensor: torch.fx.Node) -> None:
    del number
    x, mask, _ = user.args
    scalar = insert_call(user, aten.reshape.default, (tensor, []))
    user.target, user.args = aten.masked_fill.Tensor, (x, mask, scalar)


_FORMS: dict[Any, Callable[[torch.fx.Node, torch.fx.Node, torch.fx.Node], None]] = {
    **dict.fromkeys(
        (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor), _arithmetic
    ),
    aten.rsub.Scalar: _subtracted_from,
    aten.select.int: _select,
    aten.masked_fill.Scalar: _filled,
}
