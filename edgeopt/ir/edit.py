"""Changes a program's graph without touching the program it came from."""

from __future__ import annotations

import copy
import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputSpec,
    TensorArgument,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt.ir.program import Program, Step
    from edgeopt.ir.quant import QuantSpec

__all__ = ["Editor"]


class Editor:
    """A copy of a program that may be changed; `finish` makes a Program of it again.

    Attributes:
        graph: The copied graph, free to change. Node names are those of the program.
        quant: The copied quantization table.
        constants: Constant name to tensor. Replace an entry to change a weight.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._module = copy.deepcopy(program.exported.graph_module)
        self.graph: torch.fx.Graph = self._module.graph
        for old, new in zip(program.graph.nodes, self.graph.nodes, strict=True):
            new.name = old.name  # the copy calls an argument named as a builtin (input) input_1
        self.quant: dict[str, QuantSpec] = dict(program.quant)
        self.constants: dict[str, torch.Tensor] = dict(program.constants)
        self._nodes: dict[str, torch.fx.Node] = {n.name: n for n in self.graph.nodes}
        self._mode = _fake_mode(self.graph)

    def calls(self, *targets: Any) -> Iterator[torch.fx.Node]:
        """Yields the nodes that call one of ``targets`` (all calls where none is given)."""
        for node in list(self.graph.nodes):
            if node.op == "call_function" and (not targets or node.target in targets):
                yield node

    def node(self, name: str) -> torch.fx.Node:
        """Returns the node called ``name``."""
        return self._nodes[name]

    def is_constant(self, node: Any) -> bool:
        """Returns whether ``node`` is a parameter, buffer or lifted constant."""
        return (
            isinstance(node, torch.fx.Node)
            and node.op == "placeholder"
            and node.name in self.constants
        )

    def tensor(self, node: torch.fx.Node) -> torch.Tensor:
        """Returns the constant that ``node`` stands for."""
        return self.constants[node.name]

    def set_tensor(self, node: torch.fx.Node, tensor: torch.Tensor) -> None:
        """Replaces the constant of ``node``; its shape and dtype may change."""
        self.constants[node.name] = tensor.detach()
        node.meta["val"] = self._fake(tensor)

    def add_constant(self, hint: str, tensor: torch.Tensor) -> torch.fx.Node:
        """Returns a new constant node with a name like ``hint``."""
        first = next(iter(self.graph.nodes))
        with self.graph.inserting_before(first):
            node = self.graph.placeholder(hint)
        node.target = node.name  # the argument's name in the code; a hint may come twice
        self._nodes[node.name] = node
        self.set_tensor(node, tensor)
        return node

    def call(
        self,
        target: Any,
        args: tuple[Any, ...],
        *,
        before: torch.fx.Node,
        like: torch.fx.Node,
        kwargs: dict[str, Any] | None = None,
    ) -> torch.fx.Node:
        """Returns a new call in front of ``before``; it keeps the source location of ``like``."""
        with self.graph.inserting_before(before):
            node = self.graph.call_function(target, args, kwargs or {})
        node.meta = {k: v for k, v in like.meta.items() if k not in ("val", "tensor_meta")}
        node.meta["val"] = self._value(target, args, kwargs or {})
        self._nodes[node.name] = node
        return node

    def replace(self, old: torch.fx.Node, new: torch.fx.Node) -> None:
        """Lets every user of ``old`` use ``new``, and drops ``old``; its grid goes along."""
        old.replace_all_uses_with(new)
        spec = self.quant.pop(old.name, None)
        if spec is not None:
            self.quant.setdefault(new.name, spec)
        self.graph.erase_node(old)

    def refresh(self) -> None:
        """Recomputes shapes and dtypes of all values from the inputs on."""
        for node in self.calls():
            node.meta["val"] = self._value(node.target, node.args, dict(node.kwargs))

    def finish(self, step: Step | None = None, **changes: Any) -> Program:
        """Returns the changed program: dead nodes and unused constants are gone.

        Raises:
            ProgramError: The result breaks a rule of the IR; the step is named.
        """
        from edgeopt.ir.rules import verify_program  # noqa: PLC0415 (it imports Program)

        self._sweep()
        exported = self._exported()
        alive = {node.name for node in self.graph.nodes}
        program = replace(
            self._program,
            exported=exported,
            quant={k: v for k, v in self.quant.items() if k in alive},
            sparsity={k: v for k, v in self._program.sparsity.items() if k in alive},
            history=(*self._program.history, *([step] if step else [])),
            **changes,
        )
        verify_program(program, after=step.name if step else "an edit")
        return program

    def _sweep(self) -> None:
        self.graph.eliminate_dead_code(lambda node: node.op in ("placeholder", "output"))
        for node in list(self.graph.nodes):
            if node.op == "placeholder" and node.name in self.constants and not node.users:
                self.graph.erase_node(node)
                del self.constants[node.name]

    def _exported(self) -> ExportedProgram:
        old = self._program.exported
        self._order_placeholders()
        inputs, state, lifted = self._input_specs(old)
        self.graph.lint()
        self._module.recompile()
        return ExportedProgram(
            root=self._module,
            graph=self.graph,
            graph_signature=ExportGraphSignature(inputs, self._output_specs(old)),
            state_dict=state,
            range_constraints={},  # of dynamic dimensions, of which a program has none
            module_call_graph=old.module_call_graph,
            example_inputs=None,
            constants=lifted,
            verifiers=old.verifiers,
        )

    def _order_placeholders(self) -> None:
        """Puts constants before the inputs, which torch.export relies on, without reordering."""
        nodes = [n for n in self.graph.nodes if n.op == "placeholder"]
        ordered = [n for n in nodes if n.name in self.constants]
        ordered += [n for n in nodes if n.name not in self.constants]
        root = self.graph._root  # noqa: SLF001 (no public way to move a node to the front)
        for node in reversed(ordered):
            root.append(node)

    def _input_specs(
        self, old: ExportedProgram
    ) -> tuple[list[InputSpec], dict[str, torch.Tensor], dict[str, Any]]:
        known = {s.arg.name: s for s in old.graph_signature.input_specs}
        taken = {s.target for s in known.values()}
        specs: list[InputSpec] = []
        state: dict[str, torch.Tensor] = {}
        for node in self.graph.nodes:
            if node.op != "placeholder":
                continue
            if node.name not in self.constants:
                specs.append(known[node.name])
                continue
            was = known.get(node.name)
            fqn = was.target if was is not None and was.target else _free(node.name, taken)
            specs.append(
                InputSpec(InputKind.BUFFER, TensorArgument(node.name), fqn, persistent=True)
            )
            taken.add(fqn)
            state[fqn] = self.constants[node.name]
        return specs, state, {}

    def _output_specs(self, old: ExportedProgram) -> list[OutputSpec]:
        returned = next(n for n in self.graph.nodes if n.op == "output").args[0]
        return [
            OutputSpec(spec.kind, TensorArgument(node.name), spec.target)
            if isinstance(node, torch.fx.Node)
            else spec  # a model may return None or a number beside its tensors
            for spec, node in zip(old.graph_signature.output_specs, returned, strict=True)
        ]

    def _fake(self, tensor: torch.Tensor) -> torch.Tensor:
        fake: torch.Tensor = self._mode.from_tensor(tensor, static_shapes=True)
        return fake

    def _value(self, target: Any, args: Any, kwargs: Any) -> Any:
        from torch.fx.node import map_arg  # noqa: PLC0415

        held = map_arg((args, kwargs), lambda n: n.meta["val"])
        if target is operator.getitem:
            return held[0][0][held[0][1]]
        with self._mode:
            return target(*held[0], **held[1])


def _free(name: str, taken: set[str | None]) -> str:
    """Returns a name like ``name`` that no weight of the model has."""
    while name in taken:
        name += "_"
    return name


def _fake_mode(graph: torch.fx.Graph) -> Any:
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode  # noqa: PLC0415

    for node in graph.nodes:
        value = node.meta.get("val")
        if isinstance(value, FakeTensor):
            return value.fake_mode
    return FakeTensorMode(allow_non_fake_inputs=True)
