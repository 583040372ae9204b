"""Whether last bits decide what a model answers: the reference, with noise where runtimes differ.

Each runtime rounds functions and sums in its own way, and flushes what is next to nothing to 0. Where a model
asks whether such a number lies above a limit, or rounds it down, its answer hangs on these bits, and two
right runtimes differ. Noise as small as that in the reference tells: what it moves, no runtime can keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils import _pytree

from edgeopt.ir.kernel_kind import kernel_kind
from edgeopt.ir.operators import traits_of
from edgeopt.ir.reference import Simulation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program

__all__ = ["UNIT", "shaken_outputs"]

UNIT = 2.0**-22
"""Noise beside the larger of a number and the root mean square of its like: two units in the last place.

Of a sum, beside what its summands add up to without their signs: they may cancel, and not to 0 where a runtime
multiplies and adds in one step.
"""

aten = torch.ops.aten

TINY = float(torch.finfo(torch.float32).tiny)
"""Smaller numbers are 0 to most runtimes."""


def shaken_outputs(program: Program, samples: Sequence[Arrays]) -> list[Arrays]:
    """Returns the reference's outputs for ``samples``, with noise in what runtimes round differently."""
    shaken = _Shaken(program)
    inputs = ([torch.from_numpy(np.array(a, order="C")) for a in sample] for sample in samples)
    return [tuple(value.numpy() for value in shaken.outputs(sample)) for sample in inputs]


class _Shaken(Simulation):
    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._generator = torch.Generator().manual_seed(0)
        calls = (n for n in program.graph.nodes if n.op == "call_function")
        self._rounds = {n.name for n in calls if _rounds(program, n)}

    def _computed(self, n: torch.fx.Node) -> Any:
        value = self._of_shaken(n) if traits_of(n).centers else super()._computed(n)
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return value
        if n.op == "call_function":
            value = torch.where(value.abs() < TINY, 0.0, value)
        if n.name not in self._rounds:
            return value
        size, nothing = _size(value), value == 0
        if _adds_up(n):
            summands = self._summands(n)
            size, nothing = torch.maximum(size, summands), nothing & (summands == 0)
        noise = UNIT * size * torch.randn(value.shape, generator=self._generator)
        return torch.where(nothing | ~value.isfinite(), value, value + noise)

    def _of_shaken(self, n: torch.fx.Node) -> Any:
        """Returns the result of ``n``, with noise in its first input."""
        (value, *rest), kwargs = self.fetch_args_kwargs_from_env(n)
        noise = UNIT * value.abs() * torch.randn(value.shape, generator=self._generator)
        return self.call_function(n.target, (value + noise, *rest), kwargs)

    def _summands(self, n: torch.fx.Node) -> torch.Tensor:
        """Returns what the summands of each number add up to without their signs."""
        args, kwargs = _pytree.tree_map(_magnitude, self.fetch_args_kwargs_from_env(n))
        target = aten.add.Tensor if n.target is aten.sub.Tensor else n.target
        summands: torch.Tensor = self.call_function(target, args, kwargs)
        return summands.nan_to_num(0.0, 0.0, 0.0)


def _size(value: torch.Tensor) -> torch.Tensor:
    """Returns what the rounding errors of ``value`` are relative to: itself, or its usual size."""
    usual = value[value.isfinite()]
    least = usual.square().mean().sqrt() if usual.numel() else value.new_zeros(())
    return torch.maximum(value.abs(), least)


def _adds_up(node: torch.fx.Node) -> bool:
    return traits_of(node).adds_up or traits_of(node).joins


def _magnitude(value: Any) -> Any:
    real = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.abs() if real else value


def _rounds(program: Program, node: torch.fx.Node) -> bool:
    """Returns whether runtimes round the results of ``node`` differently."""
    traits = traits_of(node)
    alike = traits.exact and not traits.joins
    if alike or traits.casts or traits.keeps_parameters:
        return False
    return kernel_kind(program, node).kind == "float"
