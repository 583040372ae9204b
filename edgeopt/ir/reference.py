"""Runs a program in torch with its integer grid simulated exactly: what backends must equal.

Every value with a grid is rounded to it as soon as it is made (ties to even). Convolutions and
matrix products on integer inputs add up exact integers: in float32 where no partial sum can
exceed 2**24, else in float64, where none can exceed 2**53. The sum is scaled to the grid of the
result once, by a float32 factor, as integer kernels do (XNNPACK's, bit for bit): a tie that rounds
the other way in float64 grows from layer to layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.data.binder import check_arrays
from edgeopt.ir import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.ir.program import Program

__all__ = ["ReferenceRunner", "Simulation"]

EXACT_FLOAT32 = 2**24
_MEANS = (ops.aten.mean.dim, ops.aten.avg_pool2d.default)


class Simulation(torch.fx.Interpreter):
    """An interpreter of a program's graph that keeps values on their grids.

    Args:
        program: What to run.
        observe: Called with (node, value) for each value that is made, after rounding.
        exact: Whether anchors add up integers exactly; else in float32, faster.
    """

    def __init__(
        self,
        program: Program,
        *,
        observe: Callable[[torch.fx.Node, Any], None] | None = None,
        exact: bool = True,
    ) -> None:
        super().__init__(program.exported.graph_module)
        self._program = program
        self._observe = observe
        self._exact = exact and program.precision == "int8"
        self._integers: dict[str, tuple[torch.Tensor, float]] = {}

    def outputs(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns the program's outputs for ``inputs`` (in the order of the signature)."""
        values = dict(zip(self._program.input_names, inputs, strict=True))
        with torch.no_grad():
            returned = self.run(*self._placeholders(values))
        return [value for value in returned if isinstance(value, torch.Tensor)]

    def _placeholders(self, values: dict[str, torch.Tensor]) -> list[Any]:
        held = {**self._program.constants, **values}
        nodes = self._program.graph.nodes
        return [held.get(node.name) for node in nodes if node.op == "placeholder"]

    def run_node(self, n: torch.fx.Node) -> Any:
        """Returns the value of one node, on its grid where it has one."""
        value = self._computed(n)
        spec = self._program.quant.get(n.name)
        if spec is not None and n.name not in self._program.constants:
            value = spec.fake(value)
        elif isinstance(value, torch.Tensor) and value.dtype is torch.float64:
            value = self._narrowed(n, value)
        if self._observe is not None and n.op != "output":
            self._observe(n, value)
        return value

    def _computed(self, n: torch.fx.Node) -> Any:
        """Returns the value of one node before it is rounded."""
        if self._is_exact(n):
            return self._integer_anchor(n)
        if self._exact and n.target in _MEANS and n.name in self._program.quant:
            return self._integer_mean(n)
        return super().run_node(n)

    def _integer_mean(self, n: torch.fx.Node) -> Any:
        """Returns a mean; that of an even number of integers often is a tie, and stays one."""
        source: Any = n.args[0]
        spec = self._program.quant.get(source.name)
        if spec is None:
            return super().run_node(n)
        whole = spec.quantize(self.env[source]).double() - spec.zero_point.double()
        return n.target(whole, *n.args[1:]) * spec.scale.double()  # type: ignore[operator]

    def _narrowed(self, n: torch.fx.Node, value: torch.Tensor) -> torch.Tensor:
        """A value inside a fused kernel keeps its precision until it is rounded."""
        if ops.fused_activation(n) is not None:
            return value
        kept = n.meta["val"].dtype
        return value if kept is torch.float64 else value.to(kept)

    def _is_exact(self, n: torch.fx.Node) -> bool:
        if not self._exact or n.op != "call_function" or n.target not in ops.ANCHORS:
            return False
        x, weight, _ = ops.anchor_parts(n)
        quant = self._program.quant
        return (
            x.name in quant
            and weight.name in quant
            and quant[x.name].dtype == "int8"
            and quant[weight.name].dtype == "int8"
        )

    def _integer_anchor(self, n: torch.fx.Node) -> torch.Tensor:
        x_node, w_node, b_node = ops.anchor_parts(n)
        x_spec, w_spec = self._program.quant[x_node.name], self._program.quant[w_node.name]
        x_real = self.env[x_node]
        x = x_spec.quantize(x_real).to(torch.float32) - x_spec.zero_point.to(torch.float32)
        weight, largest_sum = self._integer_weight(n, w_node)
        dtype = torch.float32 if largest_sum * 255 < EXACT_FLOAT32 else torch.float64
        tail = n.args[3:]
        total: torch.Tensor = n.target(x.to(dtype), weight.to(dtype), None, *tail)  # type: ignore[operator]
        axis = total.ndim - 1 if n.target is ops.aten.linear.default else 1
        shape = [1] * total.ndim
        shape[axis] = -1
        step = (x_spec.scale * w_spec.scale).reshape(shape)
        total = total.double()
        if b_node is not None:
            bias = self.env[b_node].double().reshape(shape)
            total = total + torch.round(bias / step.double())
        result = self._program.quant.get((ops.fused_activation(n) or n).name)
        if result is None:
            return total * step.double()
        return torch.round(total.float() * (step / result.scale)).double() * result.scale.double()

    def _integer_weight(
        self, n: torch.fx.Node, w_node: torch.fx.Node
    ) -> tuple[torch.Tensor, float]:
        held = self._integers.get(w_node.name)
        if held is None:
            spec = self._program.quant[w_node.name]
            q = spec.quantize(self.env[w_node]).to(torch.float32)
            others = [a for a in range(q.ndim) if a != ops.output_channel_axis(n)]
            held = (q, float(q.abs().sum(dim=others).max()))
            self._integers[w_node.name] = held
        return held


class ReferenceRunner:
    """A program as a `Runner`: numpy in, numpy out."""

    def __init__(self, program: Program, *, exact: bool = True) -> None:
        self.program = program
        self._simulation = Simulation(program, exact=exact)

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Returns the program's outputs in the float model's shapes and dtypes."""
        check_arrays(self.program.signature, inputs)
        tensors = [torch.from_numpy(np.array(a, order="C")) for a in inputs]  # may be read-only
        results = tuple(r.numpy() for r in self._simulation.outputs(tensors))
        return results if len(results) > 1 else results[0]

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name and version."""
        return {
            "runtime": "torch",
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
        }

    def close(self) -> None:
        """Does nothing: torch holds no handle."""
