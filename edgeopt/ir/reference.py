"""Runs a program in torch with its integers simulated exactly: what backends must equal.

Every value with quantization parameters is rounded as soon as it is made (ties to even). Weighted
operators and means that run on integers add up exact integers (`edgeopt.ir.integer`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.data.binder import check_arrays
from edgeopt.ir import ops
from edgeopt.ir.integer import average, largest_sum, real_sums, scaled_sums, sums
from edgeopt.ir.kernel_kind import gives_real_sums, kernel_kinds
from edgeopt.ir.operators import traits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.ir.program import Program

    Watch = Callable[[torch.fx.Node, tuple[Any, ...], dict[str, Any]], None]

__all__ = ["ReferenceRunner", "Simulation"]


class Simulation(torch.fx.Interpreter):
    """An interpreter of a program's graph that keeps values on their grids.

    Args:
        program: What to run.
        observe: Called with (node, value) for each value that is made, after rounding.
        watch: Called with (node, its arguments by position, and by name) before an operator is run.
        exact: Whether sums of integers are exact; else in float32, faster.
    """

    def __init__(
        self,
        program: Program,
        *,
        observe: Callable[[torch.fx.Node, Any], None] | None = None,
        watch: Watch | None = None,
        exact: bool = True,
    ) -> None:
        super().__init__(program.exported.graph_module)
        self._program = program
        self._observe = observe
        self._watch = watch
        self._exact = exact and program.precision.is_integer
        self._kinds = kernel_kinds(program) if self._exact else {}
        self._integers: dict[str, tuple[torch.Tensor, float]] = {}

    def outputs(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Returns the program's outputs for ``inputs`` (in the order of the signature)."""
        values = dict(zip(self._program.input_names, inputs, strict=True))
        with torch.no_grad():
            returned = self.run(*self._placeholders(values))
        return [value for value in returned if isinstance(value, torch.Tensor)]

    def _placeholders(self, values: dict[str, torch.Tensor]) -> list[Any]:
        tensors = {**self._program.constants, **values}
        nodes = self._program.graph.nodes
        return [tensors.get(node.name) for node in nodes if node.op == "placeholder"]

    def run_node(self, n: torch.fx.Node) -> Any:
        """Returns the value of one node, on its grid where it has one."""
        if self._watch is not None and n.op == "call_function":
            self._watch(n, *self.fetch_args_kwargs_from_env(n))
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
            if ops.is_weighted(n):
                return self._weighted(n)
            if traits_of(n).integer_kernel == "averages":
                source: Any = n.args[0]
                return average(n, self._whole(source), self._program.quant[source.name].scale)
        ordered = self._ordered(n)
        return super().run_node(n) if ordered is None else ordered

    def _ordered(self, n: torch.fx.Node) -> Any:
        """Returns what takes equal values in their order, which torch gives in any; None for all else.

        Integers are often equal. The few largest of float values hardly are, and come in torch's own order.
        """
        if n.target not in (ops.aten.sort.default, ops.aten.topk.default):
            return None
        arguments: list[Any] = list(self.fetch_args_kwargs_from_env(n)[0])
        x, settings = arguments[0], arguments[1:]
        if not x.ndim:
            return None
        sorts = n.target is ops.aten.sort.default
        defaults: list[Any] = [-1, False] if sorts else [None, -1, True]
        settings += defaults[len(settings) :]
        if sorts:
            return torch.sort(x, dim=settings[0], descending=settings[1], stable=True)
        count, axis, largest = settings[:3]
        if not self._program.precision.is_integer and count < x.shape[axis]:
            return None
        values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
        return values.narrow(axis, 0, count), places.narrow(axis, 0, count)

    def _narrowed(self, n: torch.fx.Node, value: torch.Tensor) -> torch.Tensor:
        """A value inside a fused kernel keeps its precision until it is rounded."""
        if ops.fused_activation(n) is not None:
            return value
        dtype = n.meta["val"].dtype
        return value if dtype is torch.float64 else value.to(dtype)

    def _is_exact(self, n: torch.fx.Node) -> bool:
        """Whether ``n`` computes with whole numbers, exactly."""
        return self._exact and n.name in self._kinds and self._kinds[n.name].kind == "integer"

    def _whole(self, n: torch.fx.Node) -> torch.Tensor:
        """Returns a value as integers, less the zero point."""
        spec = self._program.quant[n.name]
        return spec.quantize(self.env[n]).to(torch.float32) - spec.zero_point.to(torch.float32)

    def _weighted(self, n: torch.fx.Node) -> torch.Tensor:
        x, weight, bias = ops.weighted_parts(n)
        quant = self._program.quant
        whole, storage = self._integer_weight(n, weight), quant[x.name].storage
        total = sums(n, self._whole(x), *whole, storage)
        real_bias = None if bias is None else self.env[bias]
        step = quant[x.name].scale * quant[weight.name].scale
        if gives_real_sums(self._program, n):
            return real_sums(n, total, real_bias, step)
        scale = quant[(ops.fused_activation(n) or n).name].scale
        return scaled_sums(n, total, real_bias, step, scale)

    def _integer_weight(
        self, n: torch.fx.Node, weight: torch.fx.Node
    ) -> tuple[torch.Tensor, float]:
        pair = self._integers.get(weight.name)
        if pair is None:
            integers = self._program.quant[weight.name].quantize(self.env[weight])
            whole = integers.to(torch.float32)
            pair = (whole, largest_sum(n, whole))
            self._integers[weight.name] = pair
        return pair


class ReferenceRunner:
    """A program as a `Runner`: numpy in, numpy out."""

    def __init__(
        self,
        program: Program,
        *,
        exact: bool = True,
        watch: Watch | None = None,
        observe: Callable[[torch.fx.Node, Any], None] | None = None,
    ) -> None:
        self.program = program
        self._simulation = Simulation(program, exact=exact, watch=watch, observe=observe)

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
