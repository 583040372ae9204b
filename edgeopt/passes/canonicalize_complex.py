"""Spells complex numbers as pairs of real ones, Fourier transforms as products with constant matrices.

Requires: nothing. Ensures: no value is complex, but for inputs and outputs, which no runtime takes.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from edgeopt.errors import CaptureError
from edgeopt.ir.decompositions.complex_numbers import RULES, Complex, partwise
from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inlined
from edgeopt.ir.operators import traits_of
from edgeopt.ir.program import Program, Step
from edgeopt.ir.source import operator_name, source_line
from edgeopt.passes.base import graph_pass, settled

__all__ = ["canonicalize_complex"]


@graph_pass(ensures=[settled("canonicalize_complex")])
def canonicalize_complex(program: Program) -> Program:
    """Returns the program without complex numbers.

    Raises:
        CaptureError: An operator has no form for pairs of numbers, or an input or output is complex.
    """
    editor = Editor(program)
    pairs: dict[str, tuple[torch.fx.Node, torch.fx.Node]] = {}
    calls = [node for node in editor.scan() if _touches_complex(node)]
    for node in calls:
        try:
            results = _parted(editor, node, pairs)
        except NotImplementedError as error:
            raise _without_form(node) from error
        if len(results) == 1:
            editor.replace(node, results[0])
        else:
            pairs[node.name] = (results[0], results[1])
    if not calls:
        return program
    _refuse_ports(editor, pairs)
    for node in reversed(calls):
        if node.name in pairs:
            editor.erase(node)
    return editor.finish(Step("canonicalize_complex", {}, {"changed": len(calls)}))


def _touches_complex(node: torch.fx.Node) -> bool:
    return any(_is_complex(value) for value in (node, *node.all_input_nodes))


def _is_complex(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_complex()


def _parted(
    editor: Editor, node: torch.fx.Node, pairs: dict[str, tuple[torch.fx.Node, torch.fx.Node]]
) -> list[torch.fx.Node]:
    """Returns the nodes of real and imaginary part of ``node``, or of its real value."""
    for value in node.all_input_nodes:
        if _is_complex(value) and value.name not in pairs:
            pairs[value.name] = _constant_parts(editor, value)
    function = RULES.get(node.target)
    if function is None and traits_of(node).partwise:
        function = partial(partwise, node.target)
    if function is None:
        raise _without_form(node)
    inputs: list[torch.fx.Node] = []
    places: dict[str, list[int]] = {}
    for value in node.all_input_nodes:
        parts = pairs.get(value.name, (value,))
        places[value.name] = list(range(len(inputs), len(inputs) + len(parts)))
        inputs += parts

    def call(*tensors: torch.Tensor) -> Any:
        def known(value: torch.fx.Node) -> Any:
            parts = [tensors[at] for at in places[value.name]]
            return parts[0] if len(parts) == 1 else Complex(*parts)

        args, kwargs = map_arg((node.args, dict(node.kwargs)), known)
        result = function(*args, **kwargs)
        return [result.real, result.imag] if isinstance(result, Complex) else [result]

    return inlined(editor, node, inputs, call)


def _without_form(node: torch.fx.Node) -> CaptureError:
    return CaptureError(
        f"{operator_name(node)} of complex numbers has no form for pairs of real ones",
        where=source_line(node) or node.name,
        hint="write it with torch.view_as_real, or compute it outside the model",
    )


def _constant_parts(editor: Editor, value: torch.fx.Node) -> tuple[torch.fx.Node, torch.fx.Node]:
    if not editor.is_constant(value):
        raise CaptureError(
            f"the input {value.name} is complex",
            where="example_inputs",
            hint="runtimes take real numbers: pass torch.view_as_real(x), and view_as_complex it in the model",
        )
    tensor = torch.view_as_real(editor.tensor(value).resolve_conj())
    real, imag = (
        editor.add_constant(f"{value.name}_{name}", tensor[..., at].contiguous())
        for at, name in enumerate(("real", "imag"))
    )
    return real, imag


def _refuse_ports(editor: Editor, pairs: dict[str, Any]) -> None:
    output = next(node for node in editor.graph.nodes if node.op == "output")
    for value in pytree.tree_leaves(output.args):
        if isinstance(value, torch.fx.Node) and value.name in pairs:
            raise CaptureError(
                f"the output {value.name} is complex",
                where=source_line(value) or value.name,
                hint="runtimes give real numbers: return torch.view_as_real(z), or z.abs()",
            )
