"""From a program to an executable: written, fused, and laid out as a list of kernel calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from edgeopt_tvm.emitter import emit_program
from edgeopt_tvm.flatten import flattened
from edgeopt_tvm.origins import origins_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir import Program
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

__all__ = ["legalized", "lower_emitted", "lower_program"]

_VIEWS = ["relax.reshape"]
"""What costs nothing, and so stays: other memory shapes are not copied."""


def lower_program(
    program: Program, machine: Machine, *, step: Callable[[], None] | None = None
) -> Executable:
    """Returns the executable of ``program``, which is in canonical form.

    Raises:
        CompileError: TVM failed on a node.
    """
    return lower_emitted(emit_program(program, machine, step=step))


def lower_emitted(emitter: Emitter) -> Executable:
    """Returns the executable of a program that has been written."""
    with emitter.machine.tvm_target():
        plain = legalized(emitter.module)
        joined = relax.transform.FuseOps()(plain)
        origins = origins_of(plain, joined)
        module = relax.transform.FuseTIR()(joined)
        module = relax.transform.DeadCodeElimination()(module)
    return flattened(module, emitter.program, origins)


def legalized(module: Any) -> Any:
    """Returns a Relax module in which every operator is a call of a PrimFunc, or a view."""
    passes = [
        relax.transform.InlinePrivateFunctions(),
        relax.transform.DecomposeOpsForInference(),
        relax.transform.LegalizeOps(skip_ops=_VIEWS),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.DeadCodeElimination(),
    ]
    return tvm.transform.Sequential(passes)(module)
