"""Finds logarithms of a signal's power, as front ends for sounds take them, and what makes that power.

A logarithm shows each number's error beside that number: a power of a millionth counts as much as the largest. A
grid, whose steps have one size, rounds it to nothing, whatever its range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.ir import ops
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    import torch

    from edgeopt.ir.program import Program

__all__ = ["spectra"]

aten = ops.aten
MOST_STEPS = 10
"""Operators between a logarithm and the square."""


def spectra(program: Program) -> set[torch.fx.Node]:
    """Returns the operators that make a power of which a logarithm is taken.

    They are those between the logarithm and a square, one filter bank (a weighted operator) among them, and those
    before the square back to the weighted ones that make the spectrum, with these if they make nothing else.
    """
    nodes: set[torch.fx.Node] = set()
    for node in program.graph.nodes:
        if node.target is aten.log.default:
            for path in _paths_to_squares(node, ()):
                nodes.update(path[1:], _before(path[-1]))
    return {node for node in nodes if not ops.is_weighted(node) or nodes.issuperset(node.users)}


def _paths_to_squares(
    node: torch.fx.Node, path: tuple[torch.fx.Node, ...]
) -> list[tuple[torch.fx.Node, ...]]:
    """Returns the ways back from ``node`` that end in a square."""
    path = (*path, node)
    if _is_square(node):
        return [path]
    banks = sum(ops.is_weighted(passed) for passed in path)
    if len(path) > MOST_STEPS or banks > 1 or not (len(path) == 1 or _passes(node)):
        return []
    return [longer for value in _read(node) for longer in _paths_to_squares(value, path)]


def _before(square: torch.fx.Node) -> set[torch.fx.Node]:
    """Returns what the square is made of, back to weighted operators."""
    nodes: set[torch.fx.Node] = set()
    waiting = _read(square)
    while waiting:
        node = waiting.pop()
        if node not in nodes and _passes(node):
            nodes.add(node)
            waiting += [] if ops.is_weighted(node) else _read(node)
    return nodes


def _is_square(node: torch.fx.Node) -> bool:
    first, second = (*node.args, None, None)[:2]
    if node.target is aten.mul.Tensor:
        return first is second
    is_second_power = node.target is aten.pow.Tensor_Scalar and second == 2  # noqa: PLR2004 (as it says)
    return node.target is aten.abs.default or bool(is_second_power)


def _passes(node: torch.fx.Node) -> bool:
    if len(_read(node)) > 2:  # noqa: PLR2004 (of more, ways would be too many to follow)
        return False
    traits = traits_of(node)
    sums = traits.integer_kernel in ("elementwise", "averages") or node.target is aten.sqrt.default
    return traits.keeps_parameters or sums or ops.is_weighted(node)


def _read(node: torch.fx.Node) -> list[torch.fx.Node]:
    return list(ops.activation_inputs(node))
