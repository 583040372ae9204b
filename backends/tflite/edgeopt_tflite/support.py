"""Says of a node how it would run: from what the emitter has written for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.ir import ops
from edgeopt_tflite.kernels import LARGEST_FACTOR

if TYPE_CHECKING:
    import torch

    from edgeopt.contracts.support import Verdict
    from edgeopt.ir import Program
    from edgeopt_tflite.emitter import Emitter

__all__ = ["written_verdict"]


def written_verdict(emitter: Emitter, node: torch.fx.Node) -> tuple[Verdict, str]:
    """Returns how LiteRT runs a node that ``emitter`` has written, and why it is not integer."""
    written = [emitter.model.operators[i] for i in emitter.emitted.get(node.name, [])]
    computing = [op for op in written if op[0] not in ("DEQUANTIZE", "QUANTIZE")]
    if not written:
        return "folded", ""
    floats = any(
        t.dtype in ("float32", "float16") for _, inputs, outputs in computing
        for t in (*inputs, *outputs)
    )  # fmt: skip
    if computing and not floats:
        return "integer", ""
    return "float", _why_float(emitter, emitter.program, node)


def _why_float(emitter: Emitter, program: Program, node: torch.fx.Node) -> str:
    if program.precision != "int8":
        return f"the precision is {program.precision}"
    loose = [v.name for v in ops.activation_inputs(node) if emitter.grid(v) is None]
    if loose:
        return f"{loose[0]} has no grid"
    if emitter.grid(ops.fused_activation(node) or node) is None:
        return "its output has no grid"
    if emitter.is_on_grid(node) and not emitter.is_integer(node):
        return f"its inputs are more than {LARGEST_FACTOR:.0f} times as coarse as its result"
    return "TFLite has no integer kernel for it"
