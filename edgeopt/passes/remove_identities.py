"""Removes what changes no value: clones, dropout at inference, views to the same shape.

Requires: nothing. Ensures: every node computes or moves something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["remove_identities"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("remove_identities")])
def remove_identities(program: Program) -> Program:
    """Returns the program without nodes that hand their input on as it is."""
    editor = Editor(program)
    removed = 0
    for node in editor.scan():
        if node.target is aten._assert_tensor_metadata.default:  # noqa: SLF001
            editor.erase(node)
        elif _is_identity(node) and not _keeps_grid_apart(program, node):
            editor.replace(node, node.args[0])  # type: ignore[arg-type]
        else:
            continue
        removed += 1
    return (
        editor.finish(Step("remove_identities", {}, {"removed": removed})) if removed else program
    )


def _keeps_grid_apart(program: Program, node: torch.fx.Node) -> bool:
    """An alias with a grid of its own is a rounding, not an identity."""
    return traits_of(node).requantizes and node.name in program.quant


def _is_identity(node: torch.fx.Node) -> bool:
    return _CONDITIONS[traits_of(node).identity](node)


def _source(node: torch.fx.Node) -> torch.Tensor:
    value: torch.Tensor = node.args[0].meta["val"]  # type: ignore[union-attr]
    return value


def _keeps_shape(node: torch.fx.Node) -> bool:
    return bool(node.meta["val"].shape == _source(node).shape)


def _keeps_dtype(node: torch.fx.Node) -> bool:
    return bool(node.meta["val"].dtype == _source(node).dtype)


def _pads_nothing(node: torch.fx.Node) -> bool:
    return not any(node.args[1])  # type: ignore[arg-type]


def _is_neutral(node: torch.fx.Node) -> bool:
    number = node.args[1]
    neutral = isinstance(number, (int, float)) and number == traits_of(node).neutral
    return neutral and _keeps_dtype(node)


_CONDITIONS: dict[str, Callable[[torch.fx.Node], bool]] = {
    "": lambda _: False,
    "always": lambda _: True,
    "same shape": _keeps_shape,
    "same dtype": _keeps_dtype,
    "no padding": _pads_nothing,
    "neutral": _is_neutral,
}
"""When an operator hands its input on, by `OperatorTraits.identity`."""
