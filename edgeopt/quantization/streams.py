"""Keeps a stream of real numbers apart from what integer operators read of it.

A value has one grid, which all that read it see. Where a float operator makes a value (a layer norm, a sum that leads
to one), and weighted operators read it as well as float ones, these alone need it on a grid: they get an ``alias`` to
read, which is rounded, and the stream goes on unrounded. In a transformer whose norms stand behind its sums (BERT) the
whole residual stream was rounded twice a block without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.quantization.placement import keeps_real, place_quantizers

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["separate_streams"]

aten = torch.ops.aten


def separate_streams(program: Program) -> Program:
    """Returns the program with an ``alias`` between a value of a stream in float and the integer operators reading it.

    It follows from the operators alone, so that patterns of names find the same values whatever they ask for.

    Args:
        program: A canonical program in float.
    """
    on_grid = set(place_quantizers(program).group)
    pairs = [(node.name, readers) for node, readers in _shared(program, on_grid)]
    if not pairs:
        return program
    editor = Editor(program)
    for name, readers in pairs:
        value = editor.node(name)
        apart = editor.call(aten.alias.default, (value,), before=value.next, like=value)
        for reader in readers:
            editor.node(reader).replace_input_with(value, apart)
    return editor.finish(Step("separate_streams", {}, {"values": len(pairs)}))


def _shared(program: Program, on_grid: set[str]) -> Iterator[tuple[torch.fx.Node, list[str]]]:
    """Yields each value that float and integer operators read alike, and the names of the latter."""
    for node in program.graph.nodes:
        if node.name not in on_grid or not _is_made_in_float(node, on_grid):
            continue
        readers = [user for user in node.users if user.op == "call_function"]
        streams = [r for r in readers if r.name not in on_grid and keeps_real(r)]
        layers = [r.name for r in readers if ops.is_weighted(r) and r.args[0] is node]
        if streams and layers and len(streams) + len(layers) == len(readers):
            yield node, layers


def _is_made_in_float(node: torch.fx.Node, on_grid: set[str]) -> bool:
    """Whether a float operator makes ``node``, which only what reads it wants on a grid."""
    if node.op != "call_function" or ops.is_weighted(node) or ops.is_fused(node):
        return False
    traits = traits_of(node)
    if traits.normalization:
        return True
    return traits.integer_kernel == "elementwise" and any(
        value.name not in on_grid for value in ops.activation_inputs(node)
    )
