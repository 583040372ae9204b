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
from edgeopt.quantization.equalize import with_headroom
from edgeopt.quantization.placement import keeps_real, leads_to_norm, place_quantizers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgeopt.quantization.statistics import ChannelStatistics

__all__ = ["separate_streams", "spread_sums", "sums_of_streams"]

aten = torch.ops.aten

WORTH_SPREADING = 0.25
"""What the noise of a rounded sum must fall to, relative to one step for all channels."""
LEAST_FACTOR = 2.0**-7


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


def sums_of_streams(program: Program) -> tuple[str, ...]:
    """Returns the names of the linears whose sums a residual stream in float alone reads.

    Args:
        program: A canonical program in float.
    """
    rounded = place_quantizers(program)
    real = place_quantizers(program, real_sums="streams")
    names = rounded.group.keys() - real.group.keys()
    return tuple(
        name
        for name in rounded.weighted_operators
        if name in names and _owns_its_weights(program, name) and leads_to_norm(program.node(name))
    )


def spread_sums(program: Program, statistics: Mapping[str, ChannelStatistics]) -> Program:
    """Returns the program with sums that streams read in channels of one size: each is multiplied by its own behind it.

    Where sums are rounded, one channel that carries the stream gives all others its step. The factors are moved from the
    weight into a product in float behind the rounding, which is a step of its own for each channel.

    Args:
        program: A canonical program in float.
        statistics: Of the values of `sums_of_streams`.
    """
    editor = Editor(program)
    spread = []
    for name, found in statistics.items():
        low, high = with_headroom(found.low.clamp(max=0), found.high.clamp(min=0))
        size = torch.maximum(-low, high)
        factors = (size / size.max().clamp_min(1e-30)).clamp_min(LEAST_FACTOR)
        if float(factors.square().mean()) < WORTH_SPREADING:
            _spread(editor, name, factors)
            spread.append(name)
    if not spread:
        return program
    return editor.finish(Step("spread_sums", {}, {"values": spread}))


def _spread(editor: Editor, name: str, factors: torch.Tensor) -> None:
    node = editor.node(name)
    _, weight, bias = ops.weighted_parts(node)
    editor.set_tensor(weight, editor.tensor(weight) / factors[:, None])
    if bias is not None:
        editor.set_tensor(bias, editor.tensor(bias) / factors)
    constant, readers = editor.add_constant(f"{name}_factors", factors), list(node.users)
    product = editor.call(aten.mul.Tensor, (node, constant), before=node.next, like=node)
    for reader in readers:
        reader.replace_input_with(node, product)


def _owns_its_weights(program: Program, name: str) -> bool:
    node = program.node(name)
    if node.target is not aten.linear.default:
        return False
    parts = [part for part in ops.weighted_parts(node)[1:] if part is not None]
    return all(part.name in program.constants and len(part.users) == 1 for part in parts)


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
