"""Says of a node how LiteRT runs it: as the core says, unless the emitter wrote otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import STORAGE_TYPES
from edgeopt.ir import KernelKind, gives_real_sums, kernel_kind, ops
from edgeopt_tflite.kernels import LARGEST_FACTOR, has_kernel

if TYPE_CHECKING:
    import torch

    from edgeopt_tflite.emitter import Emitter

__all__ = ["written_kind"]


def written_kind(emitter: Emitter, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
    """Returns how ``node`` runs, of which the program says ``kind``."""
    written = [emitter.model.operators[i] for i in emitter.emitted.get(node.name, [])]
    if not written:
        return kind if kind.kind == "folded" else KernelKind("folded", "no operator is written")
    if kind.kind == "folded":  # an activation that is written by itself runs as what it follows
        kind = kernel_kind(emitter.program, node.args[0])  # type: ignore[arg-type]
    if kind.kind != "integer" or not ops.is_float_tensor(node) or node.name in emitter.exact:
        return kind
    if _computes_in_float(written):
        return KernelKind("float", _why_float(emitter, node))
    return kind


def _computes_in_float(written: list[Any]) -> bool:
    """Whether an operator that does more than convert has a float tensor."""
    computing = [op for op in written if op[0] not in ("DEQUANTIZE", "QUANTIZE")]
    types = {t.dtype for _, inputs, outputs in computing for t in (*inputs, *outputs) if t}
    return any(STORAGE_TYPES[name].floating for name in types if name in STORAGE_TYPES)


def _why_float(emitter: Emitter, node: torch.fx.Node) -> str:
    if gives_real_sums(emitter.program, node):
        return "TFLite's integer kernels write integers only"
    if emitter.is_on_grid(node) and not has_kernel(emitter.program, node):
        return "TFLite's kernels for integers of 16 bits are not used here"
    if emitter.is_on_grid(node) and not emitter.is_integer(node):
        return f"its inputs are more than {LARGEST_FACTOR:.0f} times as coarse as its result"
    return "TFLite has no integer kernel for it"
