"""Writes a program in Relax, node by node: values stay where they are in memory while they can.

Each operator is one tensor expression (or an anchor of `edgeopt_tvm.kernels` and what follows it).
Values on a grid are kept as its integers; an expression reads real numbers of them and rounds what
it makes, with the reference's own float32 operations. Fusion joins the expressions afterwards.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tvm import relax

from edgeopt.errors import CompileError
from edgeopt.ir import orders
from edgeopt.ir.source import operator_name, source_line
from edgeopt_tvm.frontend import convert_node
from edgeopt_tvm.operators import find_operator
from edgeopt_tvm.rules import NoRuleError
from edgeopt_tvm.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from edgeopt.ir import Program
    from edgeopt_tvm.machine import Machine

__all__ = ["TYPES", "Emitter", "emit_program"]

TYPES = frozenset(
    {"float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"}
)


def emit_program(
    program: Program, machine: Machine, *, step: Callable[[], None] | None = None
) -> Emitter:
    """Returns ``program``, written; ``refused`` says which of its nodes could not be.

    Args:
        program: In canonical form.
        machine: What it is written for.
        step: Called after each node.

    Raises:
        CompileError: TVM failed on a node; names it and its source line.
    """
    emitter = Emitter(program, machine)
    emitter.run(step or (lambda: None))
    return emitter


class Emitter(Storage):
    """The module as far as it is written.

    Attributes:
        refused: Name of each node that could not be written, and why.
        module: The Relax module, once all is written; its inputs and outputs are as the float
            model has them.
    """

    def __init__(self, program: Program, machine: Machine) -> None:
        super().__init__(program, machine)
        self.refused: dict[str, str] = {}
        self.module: Any = None

    def run(self, step: Callable[[], None]) -> None:
        """Writes every node, and the outputs."""
        parameters = [self._parameter(name) for name in self.program.input_names]
        builder = self.builder
        with builder.function("main", parameters):
            with builder.dataflow():
                for node in self.program.graph.nodes:
                    if node.op == "call_function":
                        self._emit(node)
                        step()
                results = [builder.emit_output(r) for r in self._results()]
            builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
        self.module = builder.get()

    def _emit(self, node: torch.fx.Node) -> None:
        if node.name in self._values:  # it was written with the one before it
            return
        self.builder.origin = node.name
        try:
            self._require_types(node)
            self._written(node)
        except NoRuleError as error:
            self.refused[node.name] = str(error)
            self._stand_in(node, node.meta["val"])
        except Exception as error:
            raise CompileError(
                f"{operator_name(node)} could not be written for TVM: {_last_line(error)}",
                where=source_line(node) or node.name,
                hint="keep this module in float, or choose another backend",
            ) from error

    @property
    def written(self) -> frozenset[str]:
        """Names of nodes that have a value; what is left out is part of the operator behind it."""
        return frozenset(self._values)

    def _written(self, node: torch.fx.Node) -> None:
        """Writes ``node`` by our own rule, else by what TVM's frontend makes of it."""
        emit = find_operator(node)
        if emit is not None:
            with suppress(NoRuleError):
                emit(self, node)
                return
        convert_node(self, node)

    def absorbed(self, node: torch.fx.Node, *, into: torch.fx.Node) -> None:
        """Says that ``node`` was written as part of ``into``: its own value never exists."""
        self._values[node.name] = self._values[into.name]

    def _require_types(self, node: torch.fx.Node) -> None:
        for used in (*node.all_input_nodes, node):
            kind = getattr(used.meta.get("val"), "dtype", None)
            name = str(kind).removeprefix("torch.")
            if kind is not None and name not in TYPES:
                raise NoRuleError(f"values of type {name} are not supported")

    def _parameter(self, name: str) -> Any:
        node = self.program.node(name)
        held = relax.Var(name, relax.TensorType(self.shape(node), self.dtype(node)))
        self.put_input(node, held)
        return held

    def _stand_in(self, node: torch.fx.Node, made: Any) -> None:
        """Gives a node that cannot be written a value, so that the walk finds all of them."""
        if isinstance(made, (tuple, list)):
            self.put_parts(node, [_zeros(self.builder, part) for part in made])
        else:
            self.put(node, _zeros(self.builder, made))

    def _results(self) -> list[Any]:
        """Returns what is returned: memory of its own for each output, in the program's shape."""
        given = {v.name for v in self.inputs()}
        results = []
        for name in self.program.output_names:
            node = self.program.node(name)
            self.builder.origin = name
            plain = orders.identity(len(self.shape(node)))
            held = self.read(self.value(node), plain, real=True)
            made = self.shaped(held.expr, self.shape(node))
            if isinstance(made, relax.Constant) or self.root(made).name in given:
                made = self.copied(made)
            given.add(self.root(made).name)
            results.append(made)
        return results


def _zeros(builder: Any, held: Any) -> Any:
    kind = str(held.dtype).removeprefix("torch.")
    shape = [int(d) for d in held.shape]
    return builder.emit(relax.op.zeros(shape, kind if kind in TYPES else "float32"))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
