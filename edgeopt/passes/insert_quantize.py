"""Writes the quantization table into the graph, as quantize and dequantize operators.

Requires: nothing. Ensures: every value with an int8 grid is followed by a quantize and a dequantize
that all its consumers read; every constant with an integer grid is its integers and a dequantize; the
table is empty. The operators are torch's own ``quantized_decomposed``. For toolchains and formats that
read grids from the graph. With ``unsigned`` they are the same grids in unsigned integers, moved by 128, for
runtimes whose kernels want those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir.conditions import no_table
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass

if TYPE_CHECKING:
    from edgeopt.ir.quant import QuantSpec

__all__ = ["insert_quantize", "quantized_operators"]

Grid = tuple[float, int, int, int, torch.dtype]


def quantized_operators() -> Any:
    """Returns the namespace of torch's quantize and dequantize operators, registered."""
    import torch.ao.quantization.fx._decomposed  # noqa: PLC0415 (registers them)

    return torch.ops.quantized_decomposed


@graph_pass(ensures=[no_table])
def insert_quantize(program: Program, *, unsigned: bool = False) -> Program:
    """Returns ``program`` with its grids as operators, activations in int8, or in uint8.

    Args:
        program: With a quantization table.
        unsigned: Whether activations are unsigned: the same grids, moved by 128.
    """
    editor = Editor(program)
    grids = {k: s for k, s in program.quant.items() if not s.storage.floating}
    for node in list(editor.graph.nodes):
        spec = grids.get(node.name)
        if spec is None or not node.users:
            continue
        if spec.group is not None:
            continue  # torch has no operator for it: the constant stays the numbers that they stand for
        if editor.is_constant(node):
            _store_integers(editor, node, spec, unsigned=unsigned)
        else:
            _round(editor, node, _grid(spec, unsigned=unsigned))
    editor.quant = {k: s for k, s in editor.quant.items() if k not in grids}
    effect = {"values": len(grids)}
    return editor.finish(
        Step("insert_quantize", {"unsigned": unsigned}, effect), precision="float32"
    )


def _grid(spec: QuantSpec, *, unsigned: bool) -> Grid:
    """Returns scale, zero point, smallest and largest integer, and their type."""
    shift = -INT8.lowest if unsigned and spec.storage == INT8 else 0
    return (
        float(spec.scale[0]),
        int(spec.zero_point[0]) + shift,
        spec.q_min + shift,
        spec.q_max + shift,
        torch.uint8 if shift else getattr(torch, spec.storage.container),
    )


def _round(editor: Editor, node: torch.fx.Node, grid: Grid) -> None:
    ops = quantized_operators()
    after = node.next if node.op == "call_function" else _first_call(editor)
    consumers = list(node.users)
    quantized = editor.call(ops.quantize_per_tensor.default, (node, *grid), before=after, like=node)
    real = editor.call(
        ops.dequantize_per_tensor.default, (quantized, *grid), before=after, like=node
    )
    for consumer in consumers:
        consumer.replace_input_with(node, real)


def _store_integers(
    editor: Editor, node: torch.fx.Node, spec: QuantSpec, *, unsigned: bool
) -> None:
    ops = quantized_operators()
    before, like = _first_call(editor), next(iter(node.users))
    integers = spec.quantize(editor.tensor(node).double())
    args: tuple[Any, ...]
    if spec.axis is None:
        grid = _grid(spec, unsigned=unsigned)
        shifted = (integers.to(torch.int32) + grid[1] - int(spec.zero_point[0])).to(grid[4])
        constant = editor.add_constant(f"{node.name}_integers", shifted)
        target, args = ops.dequantize_per_tensor.default, (constant, *grid)
    else:
        constant = editor.add_constant(f"{node.name}_integers", integers)
        scale = editor.add_constant(f"{node.name}_scale", spec.scale)
        zero = editor.add_constant(f"{node.name}_zero", spec.zero_point)
        ends = (spec.q_min, spec.q_max, getattr(torch, spec.storage.container))
        target, args = ops.dequantize_per_channel.default, (constant, scale, zero, spec.axis, *ends)
    node.replace_all_uses_with(editor.call(target, args, before=before, like=like))


def _first_call(editor: Editor) -> torch.fx.Node:
    first: torch.fx.Node = next(n for n in editor.graph.nodes if n.op != "placeholder")
    return first
