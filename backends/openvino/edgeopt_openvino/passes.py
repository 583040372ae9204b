"""Says in the program what OpenVINO does to the input of a linear with int8 weights.

Its kernel rounds float values to 8 bits, each 32 of a row with a scale of their own, multiplies integers, and gives float
values again: in about half of the time of float, and not the same numbers. The pass declares so; with the rounding
written into the program the reference computes it too.

Requires: a canonical program. Ensures: in an int8-dynamic program every linear that the kernel takes reads
`round_groups`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from edgeopt.contracts.storage import INT8, Precision
from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes import changes_numbers, graph_pass
from edgeopt.passes.base import settled

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["GROUP", "ROUND_GROUPS", "round_linear_inputs"]

GROUP = 32
"""Numbers of a row that share a scale: ``DYNAMIC_QUANTIZATION_GROUP_SIZE``."""


@torch.library.custom_op("edgeopt_openvino::round_groups", mutates_args=())
def _round_groups(x: torch.Tensor) -> torch.Tensor:
    """Returns ``x`` with each `GROUP` of a row (last dimension) rounded to 255 steps around 0.

    What the last group lacks is 0. Compared with OpenVINO 2026.4: 140 dB, which is the order of its sums.
    """
    padded = pad(x, (0, -x.shape[-1] % GROUP))
    groups = padded.reshape(*x.shape[:-1], -1, GROUP)
    highest = INT8.limits(narrow=True)[1]
    largest = groups.abs().amax(-1, keepdim=True)
    steps = highest / largest
    steps = torch.where(steps.isfinite(), steps, 0.0)  # a group of next to nothing is rounded to 0
    rounded = (groups * steps).round() * (largest / highest)
    return rounded.reshape(padded.shape)[..., : x.shape[-1]].contiguous()


@_round_groups.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


ROUND_GROUPS = torch.ops.edgeopt_openvino.round_groups.default
"""The operator; the linear that reads it computes it."""


# As with TFLite's rows: below what fails at an output it is declared to be a defect.
@changes_numbers("linears round each 32 numbers of their input to 8 bits", min_snr_db=10.0)
@graph_pass(ensures=[settled(f"{__name__}:round_linear_inputs")])
def round_linear_inputs(program: Program) -> Program:
    """Returns the program with `ROUND_GROUPS` in front of each linear whose kernel rounds its input."""
    if program.precision is not Precision.INT8_DYNAMIC:
        return program
    editor = Editor(program)
    rounds: dict[str, torch.fx.Node] = {}
    for node in list(_linears(editor)):
        value: Any = node.args[0]
        if value.target is ROUND_GROUPS:  # a second run finds nothing to do
            continue
        if value.name not in rounds:
            rounds[value.name] = editor.call(ROUND_GROUPS, (value,), before=node, like=node)
        editor.update(node, (rounds[value.name], *node.args[1:]))
    if not rounds:
        return program
    return editor.finish(Step("round_linear_inputs", {}, {"inputs": len(rounds)}))


def _linears(editor: Editor) -> Iterator[torch.fx.Node]:
    """Yields the linears that OpenVINO's kernel for weights of 8 bits takes."""
    for node in editor.scan(torch.ops.aten.linear.default):
        _, weight, _ = ops.weighted_parts(node)
        spec = editor.quant.get(weight.name)
        if not editor.is_constant(weight) or spec is None or spec.storage != INT8:
            continue
        outputs, inputs = editor.tensor(weight).shape
        # One output is a product of vectors, and of shorter rows than a group the kernel rounds nothing.
        if outputs > 1 and inputs >= GROUP:
            yield node
