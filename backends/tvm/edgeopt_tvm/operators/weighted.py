"""What stands behind the raw sums of a weighted operator: bias, scale, activation, rounding.

Integer sums become integers as `edgeopt.ir.reference` makes them: bias and zero point are added as
int32, the sum is multiplied by one float32 a channel, rounded once, and clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tvm import te

from edgeopt.contracts.storage import FLOAT16, INT8, INT32
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

    def finish(self, e: Emitter, sums: Any, order: Order) -> None:
        """Writes what follows the raw ``sums``, whose last axis is the channels.

        Args:
            e: Where it is written.
            sums: float32 or int32, of any shape with that last axis.
            order: The order of the result's memory.
        """
        if self.grid is not None:
            self._integers(e, sums, order)
        else:
            self._floats(e, sums, order)

    # -- float ----------------------------------------------------------------------------------

    def _floats(self, e: Emitter, sums: Any, order: Order) -> None:
        grid = e.grid(self.node)
        scale = None if self.scale is None else self.scale.numpy()
        bias = None if self.bias is None else self.bias.detach().numpy()
        if scale is None and bias is None and grid is None:
            e.put(self.node, sums, order)
            return

        def at(total: Any, *factors: Any) -> Any:
            values = iter(factors)
            if scale is not None:
                total *= next(values)
            if bias is not None:
                total += next(values)
            return scalars.converted(total, None, grid, "float32")

        output = by_channel(e, at, sums, [a for a in (scale, bias) if a is not None])
        e.put(self.node, output, order, grid)

    # -- integers -------------------------------------------------------------------------------

    def _integers(self, e: Emitter, sums: Any, order: Order) -> None:
        assert self.grid is not None  # noqa: S101 (the caller asked)
        assert self.scale is not None  # noqa: S101
        step = torch.tensor([self.grid.scale]) * self.scale
        offset = self._offset(step)
        node = ops.fused_activation(self.node) or self.node
        grid = e.grid(node)
        if grid is None:
            factor = step.double().numpy()
            output = by_channel(
                e,
                lambda total, add, by: ((total + add).astype("float64") * by).astype("float32"),
                sums,
                [offset, factor],
            )
            e.put(self.node, output, order)
            return
        factor = (step / torch.tensor([grid.scale])).numpy()
        bounds = _bounds(node, grid) if node is not self.node else None

        def at(total: Any, add: Any, by: Any) -> Any:
            steps = (total + add).astype("float32") * by
            return scalars.on_grid(steps, grid, bounds)

        output = by_channel(e, at, sums, [offset, factor])
        e.put(node, output, order, grid)
        if node is not self.node:
            e.fuse_into(self.node, into=node)

    def _offset(self, step: torch.Tensor) -> np.ndarray:
        """Returns the bias in steps, less what the input's zero point adds to each sum."""
        assert self.grid is not None  # noqa: S101 (the caller asked)
        channels = self.weight.reshape(self.weight.shape[0], -1).astype(np.int64)
        offset = -self.grid.zero * channels.sum(axis=1)
        if self.bias is not None:
            offset += torch.round(self.bias.detach().double() / step.double()).long().numpy()
        largest = INT8.steps * np.abs(channels).sum(axis=1) + np.abs(offset)
        if (largest > _CEILING).any():
            raise NoRuleError("its sums may exceed 32 bits")
        whole: np.ndarray = offset.astype(np.int32)
        return whole


def _bounds(activation: Any, grid: Grid) -> tuple[int, int]:
    """Returns how far from zero an activation lets a value go, in steps of its grid."""
    if activation.target is aten.relu.default:
        return 0, _CEILING
    low, high = (*activation.args[1:], None, None)[:2]
    return (
        -_CEILING if low is None else grid.steps(float(low)),
        _CEILING if high is None else grid.steps(float(high)),
    )


def by_channel(e: Emitter, at: Any, sums: Any, factors: list[np.ndarray]) -> Any:
    """Returns the variable of ``at`` of each sum and its channel's factors."""
    shape = tuple(int(d) for d in sums.ty.shape)
    ones = (1,) * (len(shape) - 1)

    def compute(tensor: te.Tensor, *held: te.Tensor) -> te.Tensor:
        def one(*index: Any) -> Any:
            place = tuple(i if n == 1 else 0 for i, n in zip(index[:-1], shape[:-1], strict=True))
            return at(tensor(*index), *(h(*place, index[-1]) for h in held))

        return te.compute(shape, one, name="finished")

    constants = [constant_of(np.ascontiguousarray(f.reshape(*ones, -1))) for f in factors]
    name = "requantize" if str(sums.ty.dtype) == INT32.name else "bias"
    return e.te(name, compute, sums, *constants, pattern="elementwise")


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
