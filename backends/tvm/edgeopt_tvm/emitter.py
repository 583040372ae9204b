"""Writes a program in Relax, node by node: values stay where they are in memory while they can.

Each operator is one tensor expression (or a weighted operator of `edgeopt_tvm.kernels` and what follows it).
Values on a grid are kept as its integers; an expression reads real numbers of them and rounds what
it makes, with the reference's own float32 operations. Fusion joins the expressions afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tvm import relax

import edgeopt_tvm.operators  # noqa: F401 (enters the rules)
from edgeopt.ir import KernelKind, orders
from edgeopt.ir.operators import traits_of
from edgeopt.lowering import NoRuleError
from edgeopt_tvm.frontend import convert_node
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.storage import Storage
from edgeopt_tvm.values import Value

if TYPE_CHECKING:
    import torch

    from edgeopt.ir import Program
    from edgeopt_tvm.machine import Machine

__all__ = ["TYPES", "Emitter", "emit_program"]

TYPES = frozenset(
    {"float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"}
)


def emit_program(program: Program, machine: Machine) -> Emitter:
    """Returns ``program``, written; ``refused`` says which of its nodes could not be.

    Args:
        program: In canonical form.
        machine: What it is written for.
    """
    emitter = Emitter(program, machine)
    emitter.run()
    return emitter


class Emitter(Storage):
    """The module as far as it is written.

    Attributes:
        module: The Relax module, once all is written; its inputs and outputs are as the float
            model has them.
    """

    rules = rule
    types = TYPES

    def __init__(self, program: Program, machine: Machine) -> None:
        super().__init__(program, machine)
        self.module: Any = None
        self._outputs: list[Any] = []
        self._in_float: dict[str, str] = {}

    def run(self) -> None:
        """Writes the inputs, every node, and the outputs, as one function."""
        self.write_inputs()
        builder = self.builder
        with builder.function("main", self.inputs()):
            with builder.dataflow():
                self.write_nodes()
                outputs = self._outputs or [builder.emit(relax.op.zeros([1], "float32"))]
                results = [builder.emit_output(o) for o in outputs]
            builder.emit_func_output(results[0] if len(results) == 1 else relax.Tuple(results))
        self.module = builder.get()

    def write_node(self, node: torch.fx.Node) -> None:
        """Writes one call; what is emitted meanwhile is named after it."""
        self.builder.origin = node.name
        super().write_node(node)

    def add_input(self, node: torch.fx.Node) -> None:
        """Adds a parameter."""
        self.put_input(
            node, relax.Var(node.name, relax.TensorType(self.shape(node), self.dtype(node)))
        )

    def _reason(self, error: Exception) -> str:
        """Returns our own words, not TVM's: those name what is inside it (the log has them)."""
        return str(error) if isinstance(error, NoRuleError) else "TVM has no kernel for it"

    def fallback(self, node: torch.fx.Node) -> None:
        """Writes what TVM's frontend makes of ``node``."""
        convert_node(self, node)

    def dummy(self, node: torch.fx.Node) -> Any:
        """Puts zeros in place of a node that cannot be written, nothing where TVM has no such values."""
        example = node.meta["val"]
        parts = example if isinstance(example, (tuple, list)) else [example]
        if not all(_has_zeros(part) for part in parts):
            self._values[node.name] = Value(node.name, (), "float32")
        elif isinstance(example, (tuple, list)):
            self.put_parts(node, [_zeros(self.builder, part) for part in example])
        else:
            self.put(node, _zeros(self.builder, example))
        return self._values[node.name]

    def finish(self) -> None:
        """Keeps what is returned."""
        self._outputs = self._results()

    def runs_as(self, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
        """Returns how the kernels run ``node``: as the core says, but for what they fold, or have no table for."""
        if kind.kind == "folded":
            return kind
        if traits_of(node).view:
            return KernelKind("folded", "a view of memory")
        if node.name not in self.written:
            return KernelKind("folded", "part of the operator behind it")
        reason = self._in_float.get(node.name) if kind.kind == "integer" else None
        return KernelKind("float", reason) if reason else kind

    def note_float(self, node: torch.fx.Node, reason: str) -> None:
        """Says that the kernel of ``node`` computes in float, whatever grids are around it, and why."""
        self._in_float[node.name] = reason

    @property
    def written(self) -> frozenset[str]:
        """Names of nodes that have a value; what is left out is part of the operator behind it."""
        return frozenset(self._values)

    def fuse_into(self, node: torch.fx.Node, *, into: torch.fx.Node) -> None:
        """Says that ``node`` was written as part of ``into``: its own value never exists."""
        self._values[node.name] = self._values[into.name]

    def _results(self) -> list[Any]:
        """Returns what is returned: memory of its own for each output, in the program's shape."""
        names = {v.name for v in self.inputs()}
        results = []
        for name in self.program.output_names:
            node = self.program.node(name)
            self.builder.origin = name
            plain = orders.identity(len(self.shape(node)))
            source = self.read(self.value(node), plain, real=True)
            result = self.shaped(source.expr, self.shape(node))
            if isinstance(result, relax.Constant) or self.root(result).name in names:
                result = self.copied(result)
            names.add(self.root(result).name)
            results.append(result)
        return results


def _has_zeros(example: Any) -> bool:
    return str(getattr(example, "dtype", "")).removeprefix("torch.") in TYPES


def _zeros(builder: Any, held: Any) -> Any:
    shape = [int(d) for d in held.shape]
    return builder.emit(relax.op.zeros(shape, str(held.dtype).removeprefix("torch.")))
