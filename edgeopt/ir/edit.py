"""Changes a program's graph without touching the program it came from."""

from __future__ import annotations

import copy
import operator
from contextvars import ContextVar
from dataclasses import replace
from functools import cached_property
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
from torch.fx.node import map_arg

from edgeopt.ir.operators import RECURRENT
from edgeopt.ir.recurrence import recurrent_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.ir.program import Program, Step
    from edgeopt.ir.quant import QuantSpec

__all__ = ["Editor", "copy_graph", "first_change"]

_WATCHED: ContextVar[bool] = ContextVar("watched", default=False)
"""Whether a change is reported instead of made."""


class _Change(Exception):  # noqa: N818 (no error: it ends a pass that would change something)
    """A pass would change the program; its argument is the node that it was looking at."""


def first_change(function: Callable[[Program], Program], program: Program) -> str | None:
    """Returns the node at which ``function`` would change ``program`` first; None for no change.

    Nothing is copied and nothing changed. The name is empty where ``function`` changes the program
    without having looked at a node.
    """
    token = _WATCHED.set(True)
    try:
        function(program)
    except _Change as change:
        return str(change)
    finally:
        _WATCHED.reset(token)
    return None


def copy_graph(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Returns a copy of a program's graph. Every copy that is made is made here."""
    return copy.deepcopy(module)


class Editor:
    """Changes a program; `finish` makes a Program of it again, and the one that came stays as it was.

    The graph is copied at the first change, not before: who only looks pays nothing. Nodes that
    `scan` yields are those of the program as long as nothing is changed: change them through the
    editor's methods, which take them for their copies. All else gives nodes of the copy.

    Attributes:
        quant: The copied quantization table.
        constants: Constant name to tensor. Replace an entry to change a weight.
        changes: How many changes of the graph were made.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._module: torch.fx.GraphModule | None = None
        self.quant: dict[str, QuantSpec] = dict(program.quant)
        self.constants: dict[str, torch.Tensor] = dict(program.constants)
        self.changes = 0
        self._nodes: dict[str, torch.fx.Node] = program._nodes  # noqa: SLF001 (one package)
        self._replacements: dict[str, torch.fx.Node] = {}
        self._subject = ""

    @property
    def graph(self) -> torch.fx.Graph:
        """The copied graph, free to change. Node names are those of the program."""
        graph: torch.fx.Graph = self._own().graph
        return graph

    def scan(self, *targets: Any) -> Iterator[torch.fx.Node]:
        """Yields the nodes that call one of ``targets`` (all calls where none is given), to look at.

        Nodes that were erased meanwhile are left out, and no graph is copied for looking.
        """
        graph = self._program.graph if self._module is None else self._module.graph
        for name in [
            n.name
            for n in graph.nodes
            if n.op == "call_function" and (not targets or n.target in targets)
        ]:
            if name in self._nodes:
                self._subject = name
                yield self._nodes[name]

    def calls(self, *targets: Any) -> Iterator[torch.fx.Node]:
        """Yields the nodes of the copy that call one of ``targets`` (all calls where none is given)."""
        self._own()
        return self.scan(*targets)

    def node(self, name: str) -> torch.fx.Node:
        """Returns the node of the copy that is called ``name``."""
        self._own()
        return self._nodes[name]

    def peek(self, name: str) -> torch.fx.Node:
        """Returns the node called ``name``, to look at: no graph is copied for that."""
        self._subject = name
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
        node = self._live(node)
        self.constants[node.name] = tensor.detach()
        node.meta["val"] = self._fake(tensor)

    def resize_input(self, node: torch.fx.Node, value: torch.Tensor) -> None:
        """Gives the input ``node`` the shape and dtype of ``value``; `refresh` carries them on."""
        node.meta["val"] = self._fake(torch.empty(value.shape, dtype=value.dtype))

    def add_constant(self, hint: str, tensor: torch.Tensor) -> torch.fx.Node:
        """Returns a new constant node with a name like ``hint``."""
        first = next(iter(self._changed().nodes))
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
        args, kwargs = map_arg((args, kwargs or {}), self._live)
        with self._changed().inserting_before(self._live(before)):
            node = self.graph.call_function(target, args, kwargs)
        node.meta = {k: v for k, v in like.meta.items() if k not in ("val", "tensor_meta")}
        node.meta["val"] = self._value(target, args, kwargs)
        self._nodes[node.name] = node
        return node

    def update(
        self,
        node: torch.fx.Node,
        args: tuple[Any, ...],
        *,
        kwargs: dict[str, Any] | None = None,
        target: Any = None,
    ) -> torch.fx.Node:
        """Returns ``node`` with other arguments, and another operator where one is given.

        Args:
            node: Keeps its name, its users and its value's shape.
            args: All positional arguments.
            kwargs: All named arguments; None leaves them as they are.
            target: The operator; None leaves it as it is.
        """
        node = self._live(node)
        self._changed()
        node.args = map_arg(args, self._live)
        if kwargs is not None:
            node.kwargs = map_arg(kwargs, self._live)
        node.target = node.target if target is None else target
        return node

    def replace(self, old: torch.fx.Node, new: torch.fx.Node) -> None:
        """Lets every user of ``old`` use ``new``, and drops ``old``; its grid goes along."""
        old, new = self._live(old), self._live(new)
        old.replace_all_uses_with(new)
        spec = self.quant.pop(old.name, None)
        if spec is not None:
            self.quant.setdefault(new.name, spec)
        self.erase(old)
        self._replacements[old.name] = new

    def erase(self, node: torch.fx.Node) -> None:
        """Drops a node that nobody uses."""
        node = self._live(node)
        self._changed().erase_node(node)
        self._nodes.pop(node.name, None)

    def refresh(self) -> None:
        """Recomputes shapes and dtypes of all values from the inputs on."""
        for node in self.calls():
            node.meta["val"] = self._value(node.target, node.args, dict(node.kwargs))

    def finish(self, step: Step | None = None, **changes: Any) -> Program:
        """Returns the changed program: dead nodes and unused constants are gone.

        Raises:
            ProgramError: The result breaks a rule of the IR; the step is named.
        """
        from edgeopt.ir.program_rules import verify_program  # noqa: PLC0415 (it imports Program)

        exported = self._program.exported
        if self._module is not None or self._must_rebuild():
            self._sweep()
            exported = self._exported()
        graph = exported.graph_module.graph
        alive = {node.name for node in graph.nodes}
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

    def _own(self) -> torch.fx.GraphModule:
        """Returns the copy; made when it is first asked for."""
        if self._module is not None:
            return self._module
        if _WATCHED.get():
            raise _Change(self._subject)
        source = self._program
        self._module = copy_graph(source.exported.graph_module)
        # The copy calls an argument that is named as a builtin (input) input_1.
        for old, new in zip(source.graph.nodes, self._module.graph.nodes, strict=True):
            new.name = old.name
        self._nodes = {n.name: n for n in self._module.graph.nodes}
        return self._module

    def _changed(self) -> torch.fx.Graph:
        """Returns the copied graph, of which one more change is counted."""
        self.changes += 1
        return self.graph

    def _live(self, node: torch.fx.Node) -> torch.fx.Node:
        """Returns the copy of a node of the program, or what has replaced it; one of the copy as it is."""
        graph = self.graph
        while node.name in self._replacements:
            node = self._replacements[node.name]
        return node if node.graph is graph else self._nodes[node.name]

    def _must_rebuild(self) -> bool:
        """Returns whether constants were replaced, or some node is dead."""
        originals = self._program.constants
        same = self.constants.keys() == originals.keys()
        if not same or any(self.constants[name] is not originals[name] for name in originals):
            return True
        return any(
            not node.users and (node.op == "call_function" or node.name in originals)
            for node in self._program.graph.nodes
        )

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
        module = self._own()
        module.recompile()
        return ExportedProgram(
            root=module,
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
        old_specs = {s.arg.name: s for s in old.graph_signature.input_specs}
        targets = {s.target for s in old_specs.values()}
        specs: list[InputSpec] = []
        state: dict[str, torch.Tensor] = {}
        for node in self.graph.nodes:
            if node.op != "placeholder":
                continue
            if node.name not in self.constants:
                specs.append(old_specs[node.name])
                continue
            was = old_specs.get(node.name)
            fqn = was.target if was is not None and was.target else _free(node.name, targets)
            specs.append(
                InputSpec(InputKind.BUFFER, TensorArgument(node.name), fqn, persistent=True)
            )
            targets.add(fqn)
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

    @cached_property
    def _mode(self) -> Any:
        return _fake_mode(self._program.graph)

    def _fake(self, tensor: torch.Tensor) -> torch.Tensor:
        fake: torch.Tensor = self._mode.from_tensor(tensor, static_shapes=True)
        return fake

    def _value(self, target: Any, args: Any, kwargs: Any) -> Any:
        values = map_arg((args, kwargs), lambda n: n.meta["val"])
        if target is operator.getitem:
            return values[0][0][values[0][1]]
        if target in RECURRENT:
            with self._mode:
                return recurrent_values(target, *values[0])
        with self._mode:
            return target(*values[0], **values[1])


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
