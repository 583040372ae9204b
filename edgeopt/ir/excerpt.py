"""Takes calls out of a program: what they read become inputs, what they make become outputs."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.export import ExportedProgram
from torch.export.exported_program import ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.utils import _pytree as pytree

from edgeopt.ir import ops
from edgeopt.ir.program_rules import verify_program
from edgeopt.ir.signature import read_signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt.ir.program import Program
    from edgeopt.ir.quant import QuantSpec

__all__ = ["INPUT", "Unit", "excerpt", "inputs_of", "outputs_of", "units"]

INPUT = "read_"
"""What the name of an excerpt's input begins with; the name of the value follows."""

Unit = tuple[torch.fx.Node, ...]
"""What one kernel runs: a call, with the activation folded into it or the parts of its result."""


def units(program: Program) -> Iterator[Unit]:
    """Yields the calls of ``program`` that read values, each with what belongs to it."""
    for node in program.graph.nodes:
        if node.op != "call_function" or node.target is operator.getitem or ops.is_fused(node):
            continue
        if not inputs_of(program, (node,)):
            continue
        fused = ops.fused_activation(node)
        parts = [user for user in node.users if user.target is operator.getitem]
        yield (node, *((fused,) if fused is not None else ()), *parts)


def inputs_of(program: Program, unit: Unit) -> list[torch.fx.Node]:
    """Returns the values that ``unit`` reads from outside, without constants, each once."""
    values = dict.fromkeys(value for node in unit for value in node.all_input_nodes)
    return [v for v in values if v not in unit and v.name not in program.constants]


def outputs_of(unit: Unit) -> Unit:
    """Returns what makes the tensors of ``unit``: its last call, or the parts of several results."""
    return unit[1:] if unit[-1].target is operator.getitem else unit[-1:]


def excerpt(program: Program, members: Sequence[Unit]) -> Program:
    """Returns a program that runs each of ``members`` alone, on inputs of the excerpt.

    A value that several read is one input, called as the value with `INPUT` in front. Names of calls
    and constants stay, and every value keeps its quantization parameters.

    Args:
        program: Where they are.
        members: `units` of it.

    Raises:
        ProgramError: The result breaks a rule of the IR.
    """
    copy = _Copy(program, members)
    exported = copy.exported()
    result = replace(
        program,
        exported=exported,
        signature=read_signature(exported),
        quant=copy.quant,
        sparsity={},
    )
    verify_program(result, after="an excerpt")
    return result


class _Copy:
    """The graph of an excerpt.

    Attributes:
        quant: Its quantization table.
    """

    def __init__(self, program: Program, members: Sequence[Unit]) -> None:
        self._program = program
        self._graph = torch.fx.Graph()
        self._nodes: dict[torch.fx.Node, torch.fx.Node] = {}
        self._inputs: list[torch.fx.Node] = []
        self.quant: dict[str, QuantSpec] = {}
        self._constants = _constants(program, members)
        for node in self._constants:
            self._nodes[node] = self._placeholder(node, node.name)
        for value in dict.fromkeys(v for unit in members for v in inputs_of(program, unit)):
            self._inputs.append(self._placeholder(value, f"{INPUT}{value.name}"))
            self._nodes[value] = self._inputs[-1]
        read = dict(self._nodes)
        self._outputs = [output for unit in members for output in self._unit(unit, dict(read))]
        self._graph.output(tuple(self._outputs))

    def exported(self) -> ExportedProgram:
        """Returns it as torch.export has it: constants first, then the inputs."""
        self._graph.lint()
        module = torch.fx.GraphModule({}, self._graph)
        constants = self._program.constants
        specs = [_buffer(node.name) for node in self._constants]
        specs += [
            InputSpec(InputKind.USER_INPUT, TensorArgument(n.name), None) for n in self._inputs
        ]
        returned = [
            OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(n.name), None) for n in self._outputs
        ]
        return ExportedProgram(
            root=module,
            graph=module.graph,
            graph_signature=ExportGraphSignature(specs, returned),
            state_dict={node.name: constants[node.name] for node in self._constants},
            range_constraints={},
            module_call_graph=[self._call()],
            example_inputs=None,
            constants={},
            verifiers=self._program.exported.verifiers,
        )

    def _call(self) -> ModuleCallEntry:
        places = tuple(range(len(self._inputs)))
        return ModuleCallEntry(
            "",
            ModuleCallSignature(
                [TensorArgument(n.name) for n in self._inputs],
                [TensorArgument(n.name) for n in self._outputs],
                pytree.tree_structure((places, {})),
                pytree.tree_structure(tuple(range(len(self._outputs)))),
            ),
        )

    def _placeholder(self, node: torch.fx.Node, name: str) -> torch.fx.Node:
        return self._kept(node, self._graph.placeholder(name), name)

    def _unit(self, unit: Unit, nodes: dict[torch.fx.Node, torch.fx.Node]) -> list[torch.fx.Node]:
        for node in unit:
            copy = self._graph.node_copy(node, nodes.__getitem__)
            nodes[node] = self._kept(node, copy, node.name)
        return [nodes[node] for node in outputs_of(unit)]

    def _kept(self, node: torch.fx.Node, copy: torch.fx.Node, name: str) -> torch.fx.Node:
        copy.name = name  # the graph calls a value that is named as a builtin otherwise
        copy.meta = dict(node.meta)
        if node.name in self._program.quant:
            self.quant[name] = self._program.quant[node.name]
        return copy


def _constants(program: Program, members: Sequence[Unit]) -> list[torch.fx.Node]:
    values: dict[torch.fx.Node, Any] = dict.fromkeys(
        value for unit in members for node in unit for value in node.all_input_nodes
    )
    return [value for value in values if value.name in program.constants]


def _buffer(name: str) -> InputSpec:
    return InputSpec(InputKind.BUFFER, TensorArgument(name), name, persistent=True)
