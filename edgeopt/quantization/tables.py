"""Tables of embeddings that are weights too: where integers are read from one, it gets a copy with a grid of its own.

A weight has a scale for each channel, and what is read from a table one scale in all. Tied ones that are read in float
stay one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.quantization.placement import place_quantizers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["separate_tables"]


def separate_tables(program: Program, keep_float: Sequence[str] = ()) -> Program:
    """Returns the program with a copy of each table that is a weight too and from which integers are read.

    Args:
        program: A canonical program in float.
        keep_float: Operators that stay in float.
    """
    tied = [node for node in program.graph.nodes if _is_tied(program, node)]
    if not tied:
        return program
    group = place_quantizers(program, keep_float=tuple(keep_float)).group
    editor = Editor(program)
    copies: dict[str, torch.fx.Node] = {}
    for name in [node.name for node in tied if node.name in group]:
        node = editor.node(name)
        table: Any = node.args[0]
        if table.name not in copies:
            copies[table.name] = editor.add_constant(f"{table.name}_table", editor.tensor(table))
        editor.update(node, (copies[table.name], *node.args[1:]))
    return (
        editor.finish(Step("separate_tables", {}, {"tables": len(copies)})) if copies else program
    )


def _is_tied(program: Program, node: torch.fx.Node) -> bool:
    if node.target is not ops.aten.embedding.default:
        return False
    table: Any = node.args[0]
    return table.name in program.constants and any(u.target is not node.target for u in table.users)
