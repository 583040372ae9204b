"""Rows of an attention mask that let nothing through: torch answers 0 there.

A row is hidden whole where a mask of truth values is False, or one of numbers -inf, in all its places
(``torch._safe_softmax``). Masks of large finite numbers hide no row: the softmax of equal scores is
even. Runtimes answer NaN or the mean of all values instead, so backends have to look.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["hidden_rows", "may_hide_rows"]

aten = torch.ops.aten


def hidden_rows(mask: torch.Tensor) -> torch.Tensor:
    """Returns which rows (last axis, kept with length 1) of a known mask are hidden whole."""
    places = ~mask if mask.dtype is torch.bool else mask == -math.inf
    return places.all(dim=-1, keepdim=True)


def may_hide_rows(mask: torch.fx.Node, constants: Mapping[str, torch.Tensor]) -> bool:
    """Returns whether a row may be hidden whole: of a constant exactly, else whether it could be.

    Args:
        mask: The mask of an attention.
        constants: The program's.
    """
    if mask.name in constants:
        return bool(hidden_rows(constants[mask.name]).any())
    if mask.meta["val"].dtype is torch.bool:
        return True
    return _may_be_infinite(mask, constants)


def _may_be_infinite(mask: torch.fx.Node, constants: Mapping[str, torch.Tensor]) -> bool:
    """Returns whether -inf may come into a mask that is computed: written there, or given."""
    nodes: set[torch.fx.Node] = set()
    stack = [mask]
    while stack:
        node = stack.pop()
        if node in nodes or not _is_float(node, constants):
            continue
        nodes.add(node)
        if node.name in constants:
            if bool(torch.isinf(constants[node.name]).any()):
                return True
        elif node.op == "placeholder" or node.target is aten.log.default:
            return True
        if any(isinstance(a, float) and math.isinf(a) for a in node.args):
            return True
        stack += node.all_input_nodes
    return False


def _is_float(node: torch.fx.Node, constants: Mapping[str, torch.Tensor]) -> bool:
    value: Any = constants.get(node.name, node.meta.get("val"))
    return isinstance(value, torch.Tensor) and value.is_floating_point()
