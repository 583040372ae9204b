"""The grids of a program while they are trained: steps as parameters, or as moving ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from edgeopt.ir.quant import SMALLEST_STEP, QuantSpec
from edgeopt.ir.rounding import on_integers
from edgeopt.passes.separate_ties import parameter_groups
from edgeopt.qat.straight_through import round_straight_through

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.ir.program import Program

__all__ = ["RangeKind", "TrainableQuantizers"]

RangeKind = Literal["learned", "moving", "fixed"]
MOMENTUM = 0.05
"""What one batch counts in a moving range."""


class TrainableQuantizers(nn.Module):
    """All grids of 8 bits and fewer of a program, one for values that share theirs.

    A step is ``base · exp(log_factor)``: where the factor is 1 it is the table's, bit for bit, it
    stays above 0, and one learning rate fits steps of all sizes. Zero points stay, but for moving
    ranges. What runtimes prescribe (sigmoid, tanh) is not trained.

    Args:
        program: Its quantization table is where training starts.
        ranges: What becomes of the activations' grids.
    """

    frozen: torch.Tensor

    def __init__(self, program: Program, ranges: RangeKind) -> None:
        super().__init__()
        self.specs: dict[str, QuantSpec] = {n: s for n, s in program.quant.items() if s.is_weight}
        groups = parameter_groups(program)
        self.group = {n: groups.get(n, n) for n in self.specs}
        self.keys = {g: i for i, g in enumerate(sorted(set(self.group.values())))}
        self.ranges = ranges
        members: dict[str, QuantSpec] = {}
        for name, group in self.group.items():
            if group not in members or self.specs[name].method == "fixed":
                members[group] = self.specs[name]
        specs = [members[g] for g in self.keys]
        trained = [
            s.method != "fixed"
            and (ranges == "learned" or (s.axis is not None and ranges != "fixed"))
            for s in specs
        ]
        self.log_factors = nn.ParameterList(
            nn.Parameter(torch.zeros_like(s.scale), requires_grad=t)
            for s, t in zip(specs, trained, strict=True)
        )
        self.moving = {
            g
            for g, s in members.items()
            if ranges == "moving" and s.method != "fixed" and s.axis is None
        }
        for index, spec in enumerate(specs):
            self.register_buffer(f"base_{index}", spec.scale.clone())
            self.register_buffer(f"zero_{index}", spec.zero_point.clone())
            ends = [spec.low, spec.high] if spec.axis is None else [0.0, 0.0]
            self.register_buffer(f"ends_{index}", torch.tensor(ends))
        self.register_buffer("frozen", torch.zeros(()))

    def scale(self, name: str) -> torch.Tensor:
        """Returns the step(s) of a value's grid, float32 of the spec's shape."""
        at = self._at(name)
        base: torch.Tensor = getattr(self, f"base_{at}")
        return base * torch.exp(self.log_factors[at] * (1 - self.frozen))

    def zero(self, name: str) -> torch.Tensor:
        """Returns the zero point of a value's grid."""
        zero_point: torch.Tensor = getattr(self, f"zero_{self._at(name)}")
        return zero_point

    def round(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Returns ``x`` on the grid of ``name``, float32."""
        spec = self.specs[name]
        scale = spec.spread(self.scale(name), x.ndim).to(x.dtype)
        zero = spec.spread(self.zero(name), x.ndim).to(x.dtype)
        return on_integers(x, scale, zero, spec.q_min, spec.q_max, round_straight_through)

    def table(self) -> dict[str, QuantSpec]:
        """Returns value name to its grid as it is now."""
        grids: dict[str, QuantSpec] = {}
        for name, spec in self.specs.items():
            scale, zero = self.scale(name).detach().clone(), self.zero(name).clone()
            same = torch.equal(scale, spec.scale) and torch.equal(zero, spec.zero_point)
            method = spec.method if same else f"trained-{self.ranges}"
            grids[name] = QuantSpec(
                spec.storage, scale.cpu(), zero.cpu(), spec.axis, spec.bits, method, spec.group
            )
        return grids

    def freeze(self, table: Mapping[str, QuantSpec]) -> None:
        """Sets all grids to those of ``table``, for good."""
        for name in self.specs:
            at = self._at(name)
            getattr(self, f"base_{at}").copy_(table[name].scale)
            getattr(self, f"zero_{at}").copy_(table[name].zero_point)
            self.log_factors[at].data.zero_()
        self.frozen.fill_(1)

    def observe(self, seen: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Moves the ranges towards the extremes of a batch: value name to least and largest."""
        bounds: dict[str, tuple[float, float]] = {}
        for name, (low, high) in seen.items():
            group = self.group[name]
            was = bounds.get(group, (0.0, 0.0))
            bounds[group] = (min(was[0], float(low.min())), max(was[1], float(high.max())))
        for group, extremes in bounds.items():
            at = self.keys[group]
            ends: torch.Tensor = getattr(self, f"ends_{at}")
            ends.lerp_(torch.tensor(extremes, device=ends.device), MOMENTUM)
            if float(ends[1] - ends[0]) < SMALLEST_STEP:
                continue
            bits = self.specs[group].bits
            spec = QuantSpec.affine(float(ends[0]), float(ends[1]), method="moving", bits=bits)
            getattr(self, f"base_{at}").copy_(spec.scale)
            getattr(self, f"zero_{at}").copy_(spec.zero_point)

    def watches(self, name: str) -> bool:
        """Returns whether the range of a value moves."""
        return self.group.get(name) in self.moving and not bool(self.frozen)

    def _at(self, name: str) -> int:
        return self.keys[self.group[name]]
