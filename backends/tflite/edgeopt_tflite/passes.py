"""Says in the program what XNNPACK does to the input of a linear with int8 weights.

Its kernel takes float values, rounds each row to 8 bits with a scale and a zero point of its own,
multiplies integers, and gives float values again: two to four times as fast as float, and not the
same numbers. The pass declares so; with the rounding written into the program the reference computes
it too: parity compares like with like, and what the rounding costs is seen where accuracy is measured.

Weights of 4 bits, which it unpacks, are multiplied in the same way.

Requires: a canonical program. Ensures: in a program with integers in its weights alone every linear with an
integer weight of one step a channel reads `round_rows`.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.quant import QuantSpec

__all__ = ["ROUND_ROWS", "round_linear_inputs"]


@torch.library.custom_op("edgeopt_tflite::round_rows", mutates_args=())
def _round_rows(x: torch.Tensor) -> torch.Tensor:
    """Returns each row (last dimension) of ``x`` rounded to 255 steps from its least to its largest.

    Source: XNNPACK's `xnn_f32_qd8_asymmetric_quantization_params`; but for a tie now and then it
    gives the same integers.
    """
    least, most = INT8.limits()
    low = x.amin(-1, keepdim=True).clamp(max=0)
    high = x.amax(-1, keepdim=True).clamp(min=0)
    steps = INT8.steps / (high - low)
    steps = torch.where(steps.isfinite(), steps, 1.0)  # a row of next to nothing is rounded to 0
    below, above = low * steps, high * steps
    nearer = (least + below) + (most + above) > 0
    zero = torch.where(nearer, least - below, most - above).clamp(least, most).round()
    whole = ((x * steps).round() + zero).clamp(least, most)
    return (whole - zero) * (1 / steps)


@_round_rows.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


ROUND_ROWS = torch.ops.edgeopt_tflite.round_rows.default
"""The operator; it costs nothing where a linear reads it."""


# What a model makes of that is quantization noise like any other: a jump behind a linear enlarges it, and accuracy warns
# of an output below 20 dB. Below what fails there it is declared to be a defect.
@changes_numbers("linears round each row of their input to 8 bits", min_snr_db=10.0)
@graph_pass(ensures=[settled(f"{__name__}:round_linear_inputs")])
def round_linear_inputs(program: Program) -> Program:
    """Returns the program with `ROUND_ROWS` in front of each linear with an integer weight."""
    if program.precision.is_integer or not program.precision.has_integer_weights:
        return program
    editor = Editor(program)
    rounds: dict[str, torch.fx.Node] = {}
    for node in list(_linears(editor)):
        value: Any = node.args[0]
        if value.target is ROUND_ROWS:  # a second run finds nothing to do
            continue
        if value.name not in rounds:
            rounds[value.name] = editor.call(ROUND_ROWS, (value,), before=node, like=node)
        editor.update(node, (rounds[value.name], *node.args[1:]))
    if not rounds:
        return program
    return editor.finish(Step("round_linear_inputs", {}, {"inputs": len(rounds)}))


def _linears(editor: Editor) -> Iterator[torch.fx.Node]:
    for node in editor.scan(torch.ops.aten.linear.default):
        _, weight, _ = ops.weighted_parts(node)
        spec = editor.quant.get(weight.name)
        if editor.is_constant(weight) and spec is not None and _has_kernel(spec):
            yield node


def _has_kernel(spec: QuantSpec) -> bool:
    """Whether there is a kernel for a weight: one step a channel, and zero stands for zero."""
    plain = spec.is_weight and spec.granularity == "channel"
    return plain and not bool(spec.zero_point.any())
