"""Runs operators of a program alone, on the inputs that they have in the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.errors import EdgeoptError
from edgeopt.gate.operator_exactness import OperatorExactness
from edgeopt.ir import ops
from edgeopt.ir.excerpt import INPUT, excerpt, inputs_of, outputs_of
from edgeopt.ir.kernel_kind import activation_spec, kernel_kind
from edgeopt.ir.operators import traits_of
from edgeopt.ir.reference import Simulation
from edgeopt.ir.source import operator_name
from edgeopt.options import CompileOptions
from edgeopt.quantization.fills import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Backend, Runner, Target
    from edgeopt.gate.metrics import Arrays
    from edgeopt.ir import Program
    from edgeopt.ir.excerpt import Unit

__all__ = ["OperatorBench"]


class OperatorBench:
    """Runs operators alone.

    Attributes:
        operators: What came of those that were run.
    """

    def __init__(self, program: Program, backend: Backend, target: Target, bound: float) -> None:
        self._program, self._backend, self._target = program, backend, target
        self._bound = bound
        self.operators: tuple[OperatorExactness, ...] = ()
        self._in_float: set[str] = set()

    def run(self, batch: Sequence[Unit], samples: Sequence[Arrays]) -> None:
        """Adds what comes of ``batch``: together, or one by one where the backend cannot."""
        part = excerpt(self._program, batch)
        try:
            runner = self._loaded(part)
        except EdgeoptError as error:
            if len(batch) > 1:
                for unit in batch:
                    self.run([unit], samples)
                return
            self.operators += (self._entry(batch[0], _Difference(), error.what),)
            return
        try:
            differences = self._compared(part, runner, batch, samples)
        finally:
            runner.close()
        self.operators += tuple(map(self._entry, batch, differences))

    def _loaded(self, part: Program) -> Runner:
        lowered = self._backend.lower(part, self._target)
        self._in_float |= {n.node for n in lowered.support.nodes if n.verdict == "float"}
        return self._backend.load(self._backend.compile(lowered, CompileOptions()))

    def _compared(
        self, part: Program, runner: Runner, batch: Sequence[Unit], samples: Sequence[Arrays]
    ) -> list[_Difference]:
        names = part.output_names
        value_names = {
            n.name for u in batch for n in (*inputs_of(self._program, u), *outputs_of(u))
        }
        differences = [_Difference() for _ in batch]
        for sample in samples:
            values = _Recording(self._program, value_names).run_on(sample)
            inputs = [values[n.removeprefix(INPUT)].rounded.numpy() for n in part.input_names]
            results = runner(*inputs)
            results = results if isinstance(results, tuple) else (results,)
            outputs = dict(zip(names, map(torch.from_numpy, results), strict=True))
            for difference, unit in zip(differences, batch, strict=True):
                for node in outputs_of(unit):
                    size = _size(unit[0], values, values[node.name])
                    taken = 1.0 if self._is_in_float(unit) and ops.is_weighted(unit[0]) else 0.5
                    self._add(difference, node, values[node.name], outputs[node.name], size, taken)
        return differences

    def _add(
        self,
        difference: _Difference,
        node: torch.fx.Node,
        value: _Value,
        given: torch.Tensor,
        size: torch.Tensor,
        taken: float,
    ) -> None:
        """Adds one output to what is known of its operator; roundings may take that part of a step.

        That is half of one, or a whole of sums, which the reference has rounded already.
        """
        spec = activation_spec(self._program, node)
        expected = value.rounded
        if spec is None:
            difference.add(~_same(given, expected), None, _relative(given, expected, size))
            return
        steps = (spec.quantize(given).int() - spec.quantize(expected).int()).abs()
        low, high = (spec.dequantize(torch.tensor([q])) for q in (spec.q_min, spec.q_max))
        real = value.real.clamp(low, high)
        rounding = float(spec.scale[0]) * taken
        beyond = ((given.double() - real).abs() - rounding).clamp_min(0)
        difference.add(steps > 0, steps, beyond / size)

    def _is_in_float(self, unit: Unit) -> bool:
        """Whether the backend computes an operator in float that has integers of more than 8 bits.

        Those are so fine that last bits of floats show in them. Through 8 bits they do not, and what
        is said to run on integers there has to give the reference's.
        """
        nodes = (*inputs_of(self._program, unit), *outputs_of(unit))
        specs = [activation_spec(self._program, node) for node in nodes]
        return unit[0].name in self._in_float and any(s and s.storage != INT8 for s in specs)

    def _entry(self, unit: Unit, difference: _Difference, failure: str = "") -> OperatorExactness:
        return OperatorExactness(
            node=unit[0].name,
            operator=_shown(unit),
            kind="float" if self._is_in_float(unit) else kernel_kind(self._program, unit[0]).kind,
            values=difference.values,
            differing=difference.differing,
            max_steps=difference.max_steps,
            max_error=difference.max_error,
            bound=self._bound,
            failure=failure,
        )


@dataclass
class _Difference:
    """What is known of one operator so far; the attributes are those of `OperatorExactness`."""

    values: int = 0
    differing: int = 0
    max_steps: int = 0
    max_error: float = 0.0

    def add(self, unequal: torch.Tensor, steps: torch.Tensor | None, errors: torch.Tensor) -> None:
        if not unequal.numel():
            return
        self.values += unequal.numel()
        self.differing += int(unequal.sum())
        if steps is not None:
            self.max_steps = max(self.max_steps, int(steps.max()))
        self.max_error = max(self.max_error, float(errors.max()))


@dataclass
class _Value:
    """A value in the reference: as it is, and as it was before it was rounded to its grid, float64."""

    rounded: torch.Tensor
    real: torch.Tensor


class _Recording(Simulation):
    """The reference, which keeps what it makes."""

    def __init__(self, program: Program, names: set[str]) -> None:
        super().__init__(program, observe=self._keep)
        self._names = names
        self._real: torch.Tensor | None = None
        self._values: dict[str, _Value] = {}

    def run_on(self, sample: Arrays) -> dict[str, _Value]:
        """Returns the values that are wanted, for one sample."""
        self.outputs([torch.from_numpy(np.array(a, order="C")) for a in sample])
        return self._values

    def _computed(self, n: torch.fx.Node) -> Any:
        result = super()._computed(n)
        self._real = result if isinstance(result, torch.Tensor) else None
        return result

    def _keep(self, node: torch.fx.Node, value: Any) -> None:
        if node.name in self._names and isinstance(value, torch.Tensor):
            real = value if self._real is None else self._real
            self._values[node.name] = _Value(value.contiguous(), real.double())


def _same(given: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    return (given == expected) | (given.isnan() & expected.isnan())


def _relative(given: torch.Tensor, expected: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Returns the error of each number; infinities and NaN that are the same have none."""
    error = (given.double() - expected.double()).abs() / size
    return torch.where(_same(given, expected), 0.0, error).nan_to_num(nan=torch.inf)


def _size(node: torch.fx.Node, values: dict[str, _Value], value: _Value) -> torch.Tensor:
    """Returns beside what size an error of each number counts, float64 of the result's shape.

    Its own, or the root mean square of all where that is larger; of a sum, that of its terms.
    """
    real = value.real
    own = real.abs()
    usual = own[own < NOTHING]
    mean = usual.square().mean().sqrt() if usual.numel() else own.new_zeros(())
    size = torch.maximum(own, mean)
    if traits_of(node).adds_up:
        terms = _terms(node, values)
        if terms is not None and terms.shape == real.shape:
            size = torch.maximum(size, terms)
    return size.clamp_min(torch.finfo(torch.float32).tiny)


def _terms(node: torch.fx.Node, values: dict[str, _Value]) -> torch.Tensor | None:
    """Returns the sum of the absolute values of what ``node`` adds up; None where it reads constants."""
    if any(value.name not in values for value in node.all_input_nodes):
        return None
    args, kwargs = torch.fx.node.map_arg(
        (node.args, node.kwargs), lambda value: values[value.name].rounded.double().abs()
    )
    result: torch.Tensor = node.target(*args, **kwargs)  # type: ignore[operator]
    return result


def _shown(unit: Unit) -> str:
    fused = [operator_name(n) for n in unit[1:] if ops.is_activation(n)]
    return " + ".join([operator_name(unit[0]), *fused])
