"""Decomposes single nodes that a runtime has no kernel for: what they computed is left to float operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.ir.decompositions import fallback_decompositions
from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inline
from edgeopt.ir.program import Step
from edgeopt.passes import run_core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.ir.program import Program

__all__ = ["decomposable", "decompose_operators"]


def decomposable(program: Program, names: Iterable[str]) -> list[str]:
    """Returns those of ``names`` that are nodes of ``program`` and have a decomposition."""
    rules = fallback_decompositions()
    calls = {node.name: node for node in program.graph.nodes if node.op == "call_function"}
    return [name for name in names if name in calls and calls[name].target in rules]


def decompose_operators(program: Program, names: Iterable[str]) -> Program:
    """Returns ``program`` with each of the nodes ``names`` as its parts, in canonical form.

    Raises:
        KeyError: A node has no decomposition, or is none.
    """
    rules = fallback_decompositions()
    editor = Editor(program)
    names = list(names)
    for name in names:
        inline(editor, editor.node(name), rules[editor.node(name).target])
    return run_core(editor.finish(Step("decompose_operators", {"nodes": names}, {})))
