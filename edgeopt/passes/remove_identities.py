"""Removes what changes no value: clones, dropout at inference, views to the same shape.

Requires: nothing. Ensures: every node computes or moves something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["remove_identities"]

aten = torch.ops.aten

_ALWAYS = (
    aten.clone.default,
    aten.detach.default,
    aten.lift_fresh_copy.default,
    aten.contiguous.default,
)
_SAME_SHAPE = (
    aten.view.default,
    aten.reshape.default,
    aten._unsafe_view.default,  # noqa: SLF001 (an operator's name)
    aten.expand.default,
    aten.slice.Tensor,
    aten.alias.default,
)
_SAME_DTYPE = (
    aten._to_copy.default,  # noqa: SLF001 (an operator's name)
    aten.to.dtype,
    aten.type_as.default,
    aten.dropout.default,
)


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
    return node.target is aten.alias.default and node.name in program.quant


def _is_identity(node: torch.fx.Node) -> bool:
    if node.target in _ALWAYS:
        return True
    return any(
        node.target in targets and same(node)
        for targets, same in ((_SAME_SHAPE, _keeps_shape), (_SAME_DTYPE, _keeps_dtype), *_NEUTRAL)
    )


def _source(node: torch.fx.Node) -> torch.Tensor:
    value: torch.Tensor = node.args[0].meta["val"]  # type: ignore[union-attr]
    return value


def _keeps_shape(node: torch.fx.Node) -> bool:
    return bool(node.meta["val"].shape == _source(node).shape)


def _keeps_dtype(node: torch.fx.Node) -> bool:
    return bool(node.meta["val"].dtype == _source(node).dtype)


def _pads_nothing(node: torch.fx.Node) -> bool:
    return not any(node.args[1])  # type: ignore[arg-type]


def _is_neutral(value: float) -> Callable[[torch.fx.Node], bool]:
    def check(node: torch.fx.Node) -> bool:
        return (
            isinstance(node.args[1], (int, float)) and node.args[1] == value and _keeps_dtype(node)
        )

    return check


_NEUTRAL: tuple[tuple[tuple[object, ...], Callable[[torch.fx.Node], bool]], ...] = (
    ((aten.pad.default, aten.constant_pad_nd.default), _pads_nothing),
    ((aten.mul.Tensor, aten.div.Tensor), _is_neutral(1)),
    ((aten.add.Tensor, aten.sub.Tensor), _is_neutral(0)),
)
