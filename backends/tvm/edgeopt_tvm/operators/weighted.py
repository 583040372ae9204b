"""What stands behind the raw sums of a weighted operator: bias, scale, activation, rounding.

Integer sums become integers as `edgeopt.ir.reference` makes them: bias and zero point are added as
int32, the sum is multiplied by one float32 a channel, rounded once, and clipped. Sums that may exceed
32 bits, as those of 16-bit numbers do in deep layers, are made in parts that do not; float64 holds the
sum of those exactly, and float32 what is left of it when that is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import te

from edgeopt.contracts.storage import FLOAT16, INT8
from edgeopt.ir import ops
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    from edgeopt.ir import Program, QuantSpec
    from edgeopt.ir.orders import Order
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.parameters import Grid

__all__ = ["WeightedOperator", "by_channel", "stored_weight", "weighted_operator_of"]

aten = ops.aten
_CEILING = 2**31 - 1


@dataclass(frozen=True)
class WeightedOperator:
    """A convolution or linear with a constant weight.

    Attributes:
        node: The node.
        grid: The grid of its input where it adds up integers, else None.
        weight: The weight as stored, the output channels first: int8, float16 or float32.
        scale: The weight's steps, one a channel, where it is int8.
        bias: The bias as the program holds it, None without one.
    """

    node: Any
    grid: Grid | None
    weight: np.ndarray
    scale: torch.Tensor | None
    bias: torch.Tensor | None

    @property
    def fill(self) -> int:
        """What stands in padding."""
        return self.grid.zero if self.grid is not None else 0

    @property
    def parts(self) -> list[tuple[int, int]]:
        """From which input channel to which each sum goes that fits 32 bits; one from 0 on where all do.

        Empty where those of one channel do not.
        """
        if self.grid is None or not self.is_deep:
            return [(0, int(self.weight.shape[1]))]
        rest = range(2, self.weight.ndim)
        sizes = self.grid.farthest * np.abs(self.weight.astype(np.int64)).sum(axis=tuple(rest))
        return _parts(sizes) if (sizes <= _CEILING).all() else []

    def finish(self, e: Emitter, sums: list[Any], order: Order) -> None:
        """Writes what follows the raw ``sums``, whose last axis is the channels.

        Args:
            e: Where it is written.
            sums: float32 or integers, of any shape with that last axis; of several the sum is meant.
            order: The order of the result's memory.
        """
        if self.grid is not None:
            self._integers(e, sums, order)
        else:
            self._floats(e, sums[0], order)

    # -- float ----------------------------------------------------------------------------------

    def _floats(self, e: Emitter, sums: Any, order: Order) -> None:
        grid = e.grid(self.node)
        scale = None if self.scale is None else self.scale.numpy()
        bias = None if self.bias is None else self.bias.detach().numpy()
        if scale is None and bias is None and grid is None:
            e.put(self.node, sums, order)
            return

        def at(totals: list[Any], *factors: Any) -> Any:
            (total,), values = totals, iter(factors)
            if scale is not None:
                total *= next(values)
            if bias is not None:
                total += next(values)
            return scalars.converted(total, None, grid, "float32")

        output = by_channel(e, at, [sums], [a for a in (scale, bias) if a is not None])
        e.put(self.node, output, order, grid)

    # -- integers -------------------------------------------------------------------------------

    def _integers(self, e: Emitter, sums: list[Any], order: Order) -> None:
        step, offset = self._step, self._offset.astype(np.int32)
        node = ops.fused_activation(self.node) or self.node
        grid = e.grid(node)
        if grid is None:
            factor = step.double().numpy()
            output = by_channel(
                e,
                lambda totals, add, by: (self._total(totals, add).astype("float64") * by).astype(
                    "float32"
                ),
                sums,
                [offset, factor],
            )
            e.put(self.node, output, order)
            return
        factor = (step / torch.tensor([grid.scale])).numpy()
        bounds = _bounds(node, grid) if node is not self.node else None

        def at(totals: list[Any], add: Any, by: Any) -> Any:
            steps = self._total(totals, add).astype("float32") * by
            return scalars.on_grid(steps, grid, bounds)

        output = by_channel(e, at, sums, [offset, factor])
        e.put(node, output, order, grid)
        if node is not self.node:
            e.fuse_into(self.node, into=node)

    def _total(self, totals: list[Any], add: Any) -> Any:
        """Returns the sum of integers, exact: an int32 where that holds it, else a float64."""
        if not self.is_deep:
            return totals[0] + add
        result = add.astype("float64")
        for total in totals:
            result += total.astype("float64")
        return result

    @cached_property
    def _step(self) -> torch.Tensor:
        """What one of a sum stands for, of each channel."""
        assert self.grid is not None  # noqa: S101 (the caller asked)
        assert self.scale is not None  # noqa: S101
        return torch.tensor([self.grid.scale]) * self.scale

    @cached_property
    def _offset(self) -> np.ndarray:
        """The bias in steps, less what the input's zero point adds to each sum."""
        assert self.grid is not None  # noqa: S101 (the caller asked)
        channels = self.weight.reshape(self.weight.shape[0], -1).astype(np.int64)
        offset: np.ndarray = -self.grid.zero * channels.sum(axis=1)
        if self.bias is not None:
            steps = torch.round(self.bias.detach().double() / self._step.double())
            offset += steps.long().numpy()
        if (np.abs(offset) > _CEILING).any():
            raise NoRuleError("its bias exceeds 32 bits")
        return offset

    @cached_property
    def is_deep(self) -> bool:
        """Whether a sum of integers may exceed 32 bits."""
        if self.grid is None:
            return False
        channels = np.abs(self.weight.reshape(self.weight.shape[0], -1).astype(np.int64))
        largest = self.grid.farthest * channels.sum(axis=1) + np.abs(self._offset)
        return bool((largest > _CEILING).any())


def _parts(sizes: np.ndarray) -> list[tuple[int, int]]:
    """Returns from where to where ``sizes``, (out, in), are added without exceeding 32 bits: few parts."""
    parts, first = [], 0
    total = np.zeros(sizes.shape[0], np.int64)
    for at in range(sizes.shape[1]):
        if (total + sizes[:, at] > _CEILING).any():
            parts.append((first, at))
            first, total = at, np.zeros_like(total)
        total += sizes[:, at]
    return [*parts, (first, sizes.shape[1])]


def _bounds(activation: Any, grid: Grid) -> tuple[int, int]:
    """Returns how far from zero an activation lets a value go, in steps of its grid."""
    if activation.target is aten.relu.default:
        return 0, _CEILING
    low, high = (*activation.args[1:], None, None)[:2]
    return (
        -_CEILING if low is None else grid.steps(float(low)),
        _CEILING if high is None else grid.steps(float(high)),
    )


def by_channel(e: Emitter, at: Any, sums: list[Any], factors: list[np.ndarray]) -> Any:
    """Returns the variable of ``at`` of each place's sums, as a list, and its channel's factors."""
    shape = tuple(int(d) for d in sums[0].ty.shape)
    ones, count = (1,) * (len(shape) - 1), len(sums)

    def compute(*tensors: te.Tensor) -> te.Tensor:
        def one(*index: Any) -> Any:
            place = tuple(i if n == 1 else 0 for i, n in zip(index[:-1], shape[:-1], strict=True))
            totals = [t(*index) for t in tensors[:count]]
            return at(totals, *(h(*place, index[-1]) for h in tensors[count:]))

        return te.compute(shape, one, name="finished")

    constants = [constant_of(np.ascontiguousarray(f.reshape(*ones, -1))) for f in factors]
    name = "bias" if str(sums[0].ty.dtype).startswith("float") else "requantize"
    return e.te(name, compute, *sums, *constants, pattern="elementwise")


def weighted_operator_of(e: Emitter, node: Any) -> WeightedOperator:
    """Returns what is known of a weighted operator.

    Raises:
        NoRuleError: Its weight or bias is not a constant, or its dtype has no kernel.
    """
    x, weight, bias = ops.weighted_parts(node)
    program = e.program
    stored, scale = stored_weight(program, weight.name)
    if bias is not None and bias.name not in program.constants:
        raise NoRuleError("a bias that is computed")
    if e.dtype(node) != "float32":
        raise NoRuleError(f"a product of {e.dtype(node)}")
    spec = program.quant.get(weight.name)
    grid = e.grid(x) if program.precision.is_integer and _is_int8(spec) else None
    held_bias = None if bias is None else program.constants[bias.name]
    return WeightedOperator(node, grid, stored, scale, held_bias)


def _is_int8(spec: QuantSpec | None) -> bool:
    return spec is not None and spec.storage == INT8


def stored_weight(program: Program, name: str) -> tuple[np.ndarray, torch.Tensor | None]:
    """Returns a weight as it is stored, and its steps by channel where it is int8.

    Raises:
        NoRuleError: The model computes it, or its zero is not 0.
    """
    if name not in program.constants:
        raise NoRuleError("a weight that is computed")
    tensor, spec = program.constants[name].detach(), program.quant.get(name)
    if spec is None or spec.storage not in (INT8, FLOAT16):
        return tensor.float().numpy(), None
    if spec.storage.floating:
        return spec.quantize(tensor).numpy(), None
    if bool(spec.zero_point.any()):
        raise NoRuleError("a weight whose zero is not zero")
    channels = int(tensor.shape[spec.axis or 0])
    return spec.quantize(tensor).numpy(), spec.scale.expand(channels).clone()
