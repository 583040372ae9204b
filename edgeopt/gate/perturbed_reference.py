"""How far correct runtimes may be from each other: the reference with other last bits.

Integer operators are exact, and every runtime gets the same integers from them. A float operator
between them (a softmax, a norm) errs in its last bits, and differently in each runtime. Where its
result lies within that of a rounding tie, the next integer is another one. Nobody can say which is
right, and nearly always nothing follows from it; but where what comes next is ill-conditioned, such
as the norm of a row that hardly varies, the output may differ by more than parity allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.kernel_kind import kernel_kinds
from edgeopt.ir.operators import traits_of
from edgeopt.ir.reference import Simulation

if TYPE_CHECKING:
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = ["perturbed_outputs"]

LAST_BITS = 2.0**-22
"""Standard deviation of the relative error: two units in the last place of float32, as runtimes'
approximations of exp and erf and their orders of summation have it."""


def perturbed_outputs(program: Program, sample: Arrays, times: int) -> list[Arrays]:
    """Returns the reference's outputs for one sample, with other last bits each time."""
    simulation = _PerturbedReference(program)
    inputs = [torch.from_numpy(a.copy()) for a in sample]
    return [tuple(y.numpy() for y in simulation.outputs(inputs)) for _ in range(times)]


class _PerturbedReference(Simulation):
    """The reference, whose float operators err in their last bits."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._runs_as = kernel_kinds(program)
        self._chance = torch.Generator().manual_seed(0)

    def _computed(self, n: torch.fx.Node) -> Any:
        value = super()._computed(n)
        if not self._is_float(n):
            return value
        noise = torch.randn(value.shape, generator=self._chance)
        return value * (1 + LAST_BITS * noise).to(value.dtype)

    def _is_float(self, n: torch.fx.Node) -> bool:
        """Whether a runtime computes this node in float, and with an error of its own."""
        if n.op != "call_function" or not ops.is_float_tensor(n):
            return False
        return self._runs_as[n.name].kind == "float" and not traits_of(n).keeps_parameters
