"""The compression IR: an ExportedProgram with its quantization, sparsity and history."""

from edgeopt.ir.archive import decode_program, load_program, save_program
from edgeopt.ir.capture import capture_module
from edgeopt.ir.edit import Editor
from edgeopt.ir.kernel_kind import KernelKind, gives_real_sums, kernel_kind, node_support
from edgeopt.ir.operators import OperatorTraits, traits_of
from edgeopt.ir.program import Program, Sparsity, Step
from edgeopt.ir.program_rules import verify_program
from edgeopt.ir.quant import QuantSpec
from edgeopt.ir.record import record_step, recorded_steps
from edgeopt.ir.reference import ReferenceRunner

__all__ = [
    "Editor",
    "KernelKind",
    "OperatorTraits",
    "Program",
    "QuantSpec",
    "ReferenceRunner",
    "Sparsity",
    "Step",
    "capture_module",
    "decode_program",
    "gives_real_sums",
    "kernel_kind",
    "load_program",
    "node_support",
    "record_step",
    "recorded_steps",
    "save_program",
    "traits_of",
    "verify_program",
]
