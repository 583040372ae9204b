"""Joins the operators of a Relax module to kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from edgeopt_tvm.flatten import flattened
from edgeopt_tvm.origins import origins_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

__all__ = ["legalized", "lower_module"]

_VIEWS = ["relax.reshape"]
"""What costs nothing, and so stays: the same memory in another shape."""


def lower_module(
    module: Any, machine: Machine, inputs: Sequence[str], outputs: Sequence[str]
) -> Executable:
    """Returns the executable of a Relax module with one ``main``.

    Args:
        module: The module.
        machine: What it is for.
        inputs: Names of its inputs.
        outputs: Names of its outputs.

    Raises:
        CompileError: An operator has no kernel.
    """
    with machine.tvm_target():
        plain = legalized(module)
        joined = relax.transform.FuseOps()(plain)
        origins = origins_of(plain, joined)
        kernels = relax.transform.FuseTIR()(joined)
        kernels = relax.transform.DeadCodeElimination()(kernels)
    return flattened(kernels, inputs, outputs, origins)


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
