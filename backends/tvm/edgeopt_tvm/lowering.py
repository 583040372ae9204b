"""From a program to an executable: written, joined to kernels, laid out as a list of their calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt_tvm.emitter import emit_program
from edgeopt_tvm.fusion import lower_module

if TYPE_CHECKING:
    from edgeopt.ir import Program
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

__all__ = ["lower_emitted", "lower_program"]


def lower_program(program: Program, machine: Machine) -> Executable:
    """Returns the executable of ``program``, which is in canonical form."""
    return lower_emitted(emit_program(program, machine))


def lower_emitted(emitter: Emitter) -> Executable:
    """Returns the executable of a program that has been written."""
    program = emitter.program
    outputs = [spec.name for spec in program.signature.outputs]
    return lower_module(emitter.module, emitter.machine, program.input_names, outputs)
