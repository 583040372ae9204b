"""Says in the program what OpenVINO does to the float input of a linear with integer weights, where that is fast.

On a CPU that multiplies bytes its plugin rounds each group of a row to 8 bits, as far as the group's largest number
reaches, multiplies integers, and gives float values again: more than twice as fast as on float values, and not the same
numbers. The pass declares so; with the rounding written into the program the reference computes it too.

Requires: a canonical program. Ensures: in an int8-dynamic or int4-dynamic program, where no convolution becomes a linear,
each linear that the plugin rounds the input of reads `ROUND_GROUPS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes import changes_numbers, graph_pass
from edgeopt.passes.base import settled
from edgeopt.quantization.few_bits import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.quant import QuantSpec

__all__ = ["ROUND_GROUPS", "round_input_groups", "rounded_group"]

USUAL, OF_BYTES = 64, 32
"""Neighbours that are rounded together, beside weights of few bits and of 8: with more it is faster, and off by more."""


@torch.library.custom_op("edgeopt_openvino::round_groups", mutates_args=())
def _round_groups(x: torch.Tensor, size: int) -> torch.Tensor:
    """Returns ``x`` with each ``size`` neighbours of a row rounded to 127 steps to the largest; the last may be fewer."""
    missing = -x.shape[-1] % size
    parts = torch.nn.functional.pad(x, (0, missing)).reshape(*x.shape[:-1], -1, size)
    largest = parts.abs().amax(-1, keepdim=True)
    steps = INT8.highest / largest
    steps = torch.where(steps.isfinite(), steps, 0.0)
    rounded = (parts * steps).round() * (largest / INT8.highest)
    rows: torch.Tensor = rounded.flatten(-2)[..., : x.shape[-1]].clone()
    return rows


@_round_groups.register_fake
def _(x: torch.Tensor, size: int) -> torch.Tensor:
    del size
    return torch.empty_like(x)


ROUND_GROUPS = torch.ops.edgeopt_openvino.round_groups.default
"""The operator; it costs nothing where a linear reads it."""


@changes_numbers("linears round groups of their input to 8 bits", min_snr_db=10.0)
@graph_pass(ensures=[settled(f"{__name__}:round_input_groups")])
def round_input_groups(program: Program) -> Program:
    """Returns the program with `ROUND_GROUPS` in front of each linear whose input the plugin rounds."""
    dynamic = program.precision.has_integer_weights and not program.precision.is_integer
    if not dynamic or _makes_linears(program):
        return program
    size = _size(program)
    editor = Editor(program)
    rounds: dict[str, torch.fx.Node] = {}
    for node, spec in list(_linears(editor)):
        value: Any = node.args[0]
        if value.target is ROUND_GROUPS or not _rounds(editor, node, spec, size):
            continue
        if value.name not in rounds:
            rounds[value.name] = editor.call(ROUND_GROUPS, (value, size), before=node, like=node)
        editor.update(node, (rounds[value.name], *node.args[1:]))
    if not rounds:
        return program
    return editor.finish(Step("round_input_groups", {"size": size}, {"inputs": len(rounds)}))


def rounded_group(program: Program) -> int:
    """Returns how many neighbours are rounded together; 0 where none are."""
    for node in program.graph.nodes:
        if node.target is ROUND_GROUPS:
            return int(node.args[1])
    return 0


def _makes_linears(program: Program) -> bool:
    """Whether a convolution of one tap has an integer weight: the plugin makes a linear of it, and rounds its input too."""
    weighted = [node for node in program.graph.nodes if ops.is_weighted(node)]
    for node in weighted:
        weight = ops.weighted_parts(node)[1]
        taps = set(weight.meta["val"].shape[2:])
        if (
            node.target is not ops.aten.linear.default
            and taps == {1}
            and weight.name in program.quant
        ):
            return True
    return False


def _size(program: Program) -> int:
    """Returns the most that no group of a weight is smaller than."""
    if not program.precision.weight_type.is_packed:
        return OF_BYTES
    groups = [spec.group for spec in program.quant.values() if spec.group is not None]
    return max(min(GROUPS), min([USUAL, *groups]))


def _linears(editor: Editor) -> Iterator[tuple[torch.fx.Node, QuantSpec]]:
    for node in editor.scan(ops.aten.linear.default):
        _, weight, _ = ops.weighted_parts(node)
        spec = editor.quant.get(weight.name)
        if editor.is_constant(weight) and spec is not None and spec.is_weight:
            yield node, spec


def _rounds(editor: Editor, node: torch.fx.Node, spec: QuantSpec, size: int) -> bool:
    """Whether the plugin rounds the input: of more than one output, and one group of inputs at least (measured)."""
    outputs, inputs = editor.tensor(ops.weighted_parts(node)[1]).shape
    return outputs > 1 and inputs >= size and (spec.group is None or spec.group % size == 0)
