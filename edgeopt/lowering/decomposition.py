"""Decomposes single nodes that a runtime has no kernel for: what they computed is left to float operators."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from edgeopt.ir.decompositions import fallback_decompositions
from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inline
from edgeopt.ir.program import Step
from edgeopt.passes import run_core

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from edgeopt.ir.program import Program

__all__ = ["decompose_operators", "origin"]

_ORIGIN = "decomposed"
"""Key of a node's meta: the name of the node that it is a part of."""


def origin(node: torch.fx.Node) -> str:
    """Returns the name of the node that ``node`` is a part of, which is its own where it was not decomposed."""
    return str(node.meta.get(_ORIGIN, node.name))


def decompose_operators(program: Program, names: Iterable[str]) -> Program:
    """Returns ``program`` with each of the nodes ``names`` as its parts, in canonical form.

    Those without a decomposition, or with none for their arguments, stay; where all do, it is ``program`` itself.
    """
    rules = fallback_decompositions()
    calls = {node.name: node for node in program.graph.nodes if node.op == "call_function"}
    editor = Editor(program)
    done = []
    for name in names:
        if name not in calls or calls[name].target not in rules:
            continue
        node = editor.node(name)
        node.meta[_ORIGIN] = origin(node)  # its parts are given what is known of it
        with suppress(NotImplementedError):
            inline(editor, node, rules[node.target])
            done.append(name)
    if not done:
        return program
    return run_core(editor.finish(Step("decompose_operators", {"nodes": done}, {})))
