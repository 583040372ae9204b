"""Spells writes to a part of a tensor as what is left beside what is written.

Requires: nothing. Ensures: no slice_scatter, select_scatter, diagonal_scatter, index_put, copy or fill is
left; what they gave is a cat, or a where.
"""

from __future__ import annotations

from edgeopt.ir.decompositions import writes
from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inline
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["canonicalize_writes"]


@graph_pass(ensures=[settled("canonicalize_writes")])
def canonicalize_writes(program: Program) -> Program:
    """Returns the program in which no tensor is written to in part."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan(*writes.RULES):
        inline(editor, node, writes.RULES[node.target])
        changed += 1
    return (
        editor.finish(Step("canonicalize_writes", {}, {"changed": changed})) if changed else program
    )
