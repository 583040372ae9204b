"""Padding: by itself, or left to the convolution behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import tirx

from edgeopt.ir import ops
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.reading import moved

if TYPE_CHECKING:
    from edgeopt_tvm.emitter import Emitter

__all__ = ["padded_source"]

aten = ops.aten

Pads = list[tuple[int, int]]
"""Before and behind each axis."""


@rule(aten.constant_pad_nd.default)
def pad(e: Emitter, node: Any) -> None:
    """A constant around the value; what convolutions do by themselves is left to them."""
    if _is_left_out(e, node):
        return
    source, _, fill = (*node.args, 0)[:3]
    own = e.shape(source)
    pads = _pads(node)
    touched = [axis for axis, pair in enumerate(pads) if pair != (0, 0)]

    def at(index: list[Any]) -> list[Any]:
        return [i - before for i, (before, _) in zip(index, pads, strict=True)]

    def inside(index: list[Any]) -> Any:
        tests = [t for a in touched for t in (index[a] >= 0, index[a] < own[a])]
        return tirx.all(*tests)

    moved(e, node, at, inside=inside if touched else None, fill=float(fill))


def padded_source(e: Emitter, node: Any) -> tuple[Any, Pads]:
    """Returns what a convolution reads, and how much zero is around rows and columns of it.

    Args:
        e: Where it is written.
        node: The convolution's input.
    """
    if node.target is aten.constant_pad_nd.default and _is_left_out(e, node):
        return node.args[0], _pads(node)[2:]
    return node, [(0, 0)] * (len(e.shape(node)) - 2)


def _is_left_out(e: Emitter, node: Any) -> bool:
    """Returns whether only convolutions read this pad, and zero stands around rows and columns."""
    _, sizes, fill = (*node.args, 0)[:3]
    pads = _pads(node)
    return (
        fill == 0
        and min(sizes) >= 0
        and pads[:2] == [(0, 0), (0, 0)]
        and e.grid(node.args[0]) == e.grid(node)
        and node.name not in e.program.output_names
        and all(ops.is_convolution(u) and u.args[0] is node for u in node.users)
    )


def _pads(node: Any) -> Pads:
    """Returns what is added to each axis; torch names the last one first."""
    sizes = [int(s) for s in node.args[1]]
    pairs = list(zip(sizes[::2], sizes[1::2], strict=True))[::-1]
    return [(0, 0)] * (node.meta["val"].ndim - len(pairs)) + pairs
