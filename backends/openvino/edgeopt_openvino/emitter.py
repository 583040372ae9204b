"""Writes a program as an OpenVINO model: one operator a node, each value under its own name.

Values stay real numbers in the model. Where the program has a grid, a FakeQuantize with the ends
of that grid stands behind the value, and a weight is its integers times their scales: from these
OpenVINO's plugin makes integer kernels that compute what the reference computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openvino as ov
import openvino.opset13 as op

import edgeopt_openvino.operators  # noqa: F401 (enters the rules)
from edgeopt import lowering
from edgeopt_openvino import constants, parameters
from edgeopt_openvino.frontend import convert_node
from edgeopt_openvino.operator_rules import rule
from edgeopt_openvino.operators.importing import importer_fault
from edgeopt_openvino.support import plugin_kind

if TYPE_CHECKING:
    import torch

    from edgeopt.ir import KernelKind, Program

__all__ = ["Emitter"]

Value = Any
"""An output of an OpenVINO operator; its package has no types."""


class Emitter(lowering.Emitter):
    """The model as far as it is written.

    Attributes:
        model: The model, once all is written; its operators are named after the program's values.
        saturates: Whether sums of two 8-bit products saturate on the target.
    """

    rules = rule

    def __init__(self, program: Program, *, saturates: bool) -> None:
        super().__init__(program)
        self.saturates = saturates
        self.model: ov.Model | None = None
        self._parameters: list[Any] = []

    def add_input(self, node: torch.fx.Node) -> Value:
        """Returns the value of an input, on its grid by `finished`."""
        tensor = node.meta["val"]
        kind = constants.element_type(tensor.dtype)
        parameter = op.parameter([int(d) for d in tensor.shape], kind, name=node.name)
        self._parameters.append(parameter)
        return parameter.output(0)

    def constant(self, name: str) -> Value:
        """Returns the real values of a constant."""
        return constants.constant(self.program, name)

    def dummy(self, node: torch.fx.Node) -> Any:
        """Returns a parameter of the shape of ``node`` for each value that it makes."""
        return _parameter(node.meta["val"])

    def fallback(self, node: torch.fx.Node) -> Any:
        """Returns what OpenVINO's frontend makes of ``node``; what it would get wrong is left."""
        fault = importer_fault(node)
        if fault:
            raise lowering.NoRuleError(fault)
        return convert_node(self, node)

    def runs_as(self, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
        """Returns how OpenVINO's CPU plugin runs ``node``."""
        return plugin_kind(self.program, node, kind)

    def parts(self, node: Any) -> tuple[Value, ...]:
        """Returns the values of a node that makes several."""
        values: tuple[Value, ...] = self._values[node.name]
        return values

    def write_node(self, node: torch.fx.Node) -> None:
        """Writes one call; what can tell 0 from next to 0 reads whole steps of grids."""
        values = {
            v.name: self._values[v.name] for v in parameters.read_in_steps(self.program, node)
        }
        for name, value in values.items():
            spec = self.program.quant[name]
            self._values[name] = parameters.rounded(spec, value).output(0)
        super().write_node(node)
        self._values |= values

    def number(self, node: Any, value: float) -> Value:
        """Returns a scalar of the dtype that ``node`` has."""
        return op.constant(value, constants.element_type(node.meta["val"].dtype)).output(0)

    def cast(self, value: Value, dtype: torch.dtype) -> Value:
        """Returns ``value`` as ``dtype``."""
        kind = constants.element_type(dtype)
        if value.element_type == kind:
            return value
        if kind in (ov.Type.i8, ov.Type.u8) and value.element_type.is_real():
            # Behind a grid the runtime takes such a conversion for a quantization, and rounds.
            value = op.convert(value, ov.Type.i32).output(0)
        return op.convert(value, kind).output(0)

    def finish(self) -> None:
        """Makes the model."""
        results = []
        for name in self.program.output_names:
            node = self.program.node(name)
            results.append(op.result(self.cast(self.value(node), node.meta["val"].dtype)))
        self.model = ov.Model(results, self._parameters, "edgeopt")

    def finished(self, node: torch.fx.Node, value: Any) -> Any:
        """Returns what was made of ``node``, under its name and on its grid."""
        if isinstance(value, (tuple, list)):
            return tuple(_output(v) for v in value)
        output = _output(value)
        operator = output.get_node()
        if operator.get_friendly_name() == operator.get_name():  # else it is another value's
            operator.set_friendly_name(node.name)
        output = parameters.kept_whole(self.program, node, output)
        return parameters.on_grid(self.program, node, output)


def _parameter(held: Any) -> Any:
    if isinstance(held, (tuple, list)):
        return tuple(_parameter(part) for part in held)
    return op.parameter([int(d) for d in held.shape], ov.Type.f32).output(0)


def _output(value: Any) -> Value:
    return value if isinstance(value, ov.Output) else value.output(0)
