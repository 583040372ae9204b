"""Spells every product with a constant matrix as linear.

Requires: nothing. Ensures: addmm, and matmul, mm or bmm whose second factor is a constant matrix,
are linear(x, weight, bias); other products are matmul.
"""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step

__all__ = ["canonicalize_products"]

aten = torch.ops.aten


def canonicalize_products(program: Program) -> Program:
    """Returns the program with linear for every product with a constant matrix."""
    editor = Editor(program)
    changed = 0
    for node in editor.calls(
        aten.addmm.default,
        aten.matmul.default,
        aten.mm.default,
        aten.bmm.default,
        aten.baddbmm.default,
    ):
        new = _rewritten(editor, node)
        if new is not None:
            editor.replace(node, new)
            changed += 1
    return (
        editor.finish(Step("canonicalize_products", {}, {"changed": changed}))
        if changed
        else program
    )


def _rewritten(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    bias, x, matrix = _factors(node)
    if _is_matrix(editor, matrix) and (bias is None or editor.is_constant(bias)):
        weight = editor.add_constant(
            f"{matrix.name}_transposed", editor.tensor(matrix).t().contiguous()
        )
        if bias is not None and editor.tensor(bias).ndim != 1:
            return None
        return editor.call(aten.linear.default, (x, weight, bias), before=node, like=node)
    if node.target is aten.matmul.default:
        return None
    product = editor.call(aten.matmul.default, (x, matrix), before=node, like=node)
    if bias is None:
        return product
    return editor.call(aten.add.Tensor, (product, bias), before=node, like=node)


def _factors(node: torch.fx.Node) -> tuple[Any, Any, Any]:
    if node.target in (aten.addmm.default, aten.baddbmm.default):
        return node.args[0], node.args[1], node.args[2]
    return None, node.args[0], node.args[1]


def _is_matrix(editor: Editor, node: Any) -> bool:
    return editor.is_constant(node) and editor.tensor(node).ndim == 2  # noqa: PLR2004
