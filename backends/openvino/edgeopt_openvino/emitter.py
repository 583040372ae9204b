"""Writes a program as an OpenVINO model: one operator a node, each value under its own name.

Values stay real numbers in the model. Where the program has a grid, a FakeQuantize with the ends
of that grid stands behind the value, and a weight is its integers times their scales: from these
OpenVINO's plugin makes integer kernels that compute what the reference computes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import openvino as ov
import openvino.opset13 as op

from edgeopt.errors import CompileError
from edgeopt.ir.source import operator_name, source_line
from edgeopt_openvino import constants, grids
from edgeopt_openvino.frontend import convert_node
from edgeopt_openvino.operators import find_operator
from edgeopt_openvino.rules import NoRuleError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from edgeopt.ir import Program

__all__ = ["Emitter", "emit_program"]

Value = Any
"""An output of an OpenVINO operator; its package has no types."""


def emit_program(program: Program, *, step: Callable[[], None] | None = None) -> Emitter:
    """Returns ``program``, written; ``refused`` says which of its nodes could not be.

    Args:
        program: In canonical form.
        step: Called after each node.

    Raises:
        CompileError: OpenVINO failed on a node; names it and its source line.
    """
    emitter = Emitter(program)
    for node in program.graph.nodes:
        if node.op == "call_function":
            emitter.emit(node)
            if step is not None:
                step()
    return emitter


class Emitter:
    """The model as far as it is written.

    Attributes:
        program: The program that is being written.
        refused: Name of each node that could not be written, and why.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.refused: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._parameters = [self._parameter(program.node(name)) for name in program.input_names]

    def value(self, node: Any) -> Value:
        """Returns the value of ``node``: of a constant, its operator is made on first use."""
        held = self._values.get(node.name)
        if held is None:
            held = constants.constant(self.program, node.name)
            self._values[node.name] = held
        return held

    def parts(self, node: Any) -> tuple[Value, ...]:
        """Returns the values of a node that makes several."""
        held: tuple[Value, ...] = self._values[node.name]
        return held

    def number(self, node: Any, value: float) -> Value:
        """Returns a scalar of the dtype that ``node`` has."""
        return op.constant(value, constants.element_type(node.meta["val"].dtype)).output(0)

    def cast(self, value: Value, dtype: torch.dtype) -> Value:
        """Returns ``value`` as ``dtype``."""
        wanted = constants.element_type(dtype)
        return value if value.element_type == wanted else op.convert(value, wanted).output(0)

    def emit(self, node: torch.fx.Node) -> None:
        """Writes one call; one that cannot be written is noted, and a stand-in takes its place.

        Raises:
            CompileError: OpenVINO failed on it.
        """
        try:
            made = self._written(node)
        except NoRuleError as error:
            self.refused[node.name] = str(error)
            made = _stand_in(node.meta["val"])
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as error:
            raise CompileError(
                f"OpenVINO could not write {operator_name(node)}: {error}".strip(),
                where=source_line(node) or node.name,
                hint="keep this module in float, or choose another backend",
            ) from error
        self._values[node.name] = self._finished(node, made)

    def _written(self, node: torch.fx.Node) -> Any:
        """Returns what our own rule makes of ``node``, else what the frontend does."""
        emit = find_operator(node)
        if emit is not None:
            with suppress(NoRuleError):
                return emit(self, node)
        return convert_node(self, node)

    def model(self) -> ov.Model:
        """Returns the model; its operators are named after the program's values."""
        results = []
        for name in self.program.output_names:
            node = self.program.node(name)
            results.append(op.result(self.cast(self.value(node), node.meta["val"].dtype)))
        return ov.Model(results, self._parameters, "edgeopt")

    def _finished(self, node: torch.fx.Node, made: Any) -> Any:
        if isinstance(made, (tuple, list)):
            return tuple(_output(v) for v in made)
        value = _output(made)
        operator = value.get_node()
        if operator.get_friendly_name() == operator.get_name():  # else it is another value's
            operator.set_friendly_name(node.name)
        return grids.on_grid(self.program, node, value)

    def _parameter(self, node: torch.fx.Node) -> Any:
        held = node.meta["val"]
        kind = constants.element_type(held.dtype)
        parameter = op.parameter([int(d) for d in held.shape], kind, name=node.name)
        self._values[node.name] = grids.on_grid(self.program, node, parameter.output(0))
        return parameter


def _stand_in(held: Any) -> Any:
    if isinstance(held, (tuple, list)):
        return tuple(_stand_in(part) for part in held)
    return op.parameter([int(d) for d in held.shape], ov.Type.f32)


def _output(value: Any) -> Value:
    return value if isinstance(value, ov.Output) else value.output(0)
