"""Spells every product with a constant matrix as linear.

Requires: nothing. Ensures: addmm, and matmul, mm or bmm whose second factor is a constant matrix,
are linear(x, weight, bias); other products are matmul.
"""

from __future__ import annotations

from typing import Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["canonicalize_products"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("canonicalize_products")])
def canonicalize_products(program: Program) -> Program:
    """Returns the program with linear for every product with a constant matrix."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan(
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
    """The product is alpha · x · matrix + beta · bias."""
    bias, x, matrix = _factors(node)
    alpha, beta = _alpha_and_beta(node)
    if _is_matrix(editor, matrix):
        inner = bias if _is_vector(editor, bias) else None
        product = _linear(editor, node, (x, matrix, inner), (alpha, beta))
        bias = None if inner is not None else bias
    elif node.target is aten.matmul.default:
        return None
    else:
        product = editor.call(aten.matmul.default, (x, matrix), before=node, like=node)
        product = _scaled(editor, node, product, alpha)
    if bias is None or beta == 0:
        return product
    bias = _scaled(editor, node, bias, beta)
    return editor.call(aten.add.Tensor, (product, bias), before=node, like=node)


def _linear(
    editor: Editor, node: torch.fx.Node, parts: tuple[Any, Any, Any], factors: tuple[Any, Any]
) -> torch.fx.Node:
    """Returns a linear with the factors inside its weight and bias."""
    x, matrix, bias = parts
    tensor = editor.tensor(matrix).t().contiguous() * factors[0]
    if bias is not None:
        moved = (editor.tensor(bias) * factors[1]).expand(tensor.shape[0]).contiguous()
        bias = editor.add_constant(f"{bias.name}_bias", moved)
    weight = editor.add_constant(f"{matrix.name}_transposed", tensor)
    return editor.call(aten.linear.default, (x, weight, bias), before=node, like=node)


def _scaled(editor: Editor, node: torch.fx.Node, value: Any, factor: Any) -> torch.fx.Node:
    if factor == 1:
        return value  # type: ignore[no-any-return]
    return editor.call(aten.mul.Tensor, (value, factor), before=node, like=node)


def _factors(node: torch.fx.Node) -> tuple[Any, Any, Any]:
    if node.target in (aten.addmm.default, aten.baddbmm.default):
        return node.args[0], node.args[1], node.args[2]
    return None, node.args[0], node.args[1]


def _alpha_and_beta(node: torch.fx.Node) -> tuple[Any, Any]:
    """Returns the factors of the product and of what is added; between integers torch cuts them to integers."""
    factors = node.kwargs.get("alpha", 1), node.kwargs.get("beta", 1)
    if node.meta["val"].dtype.is_floating_point:
        return factors
    return int(factors[0]), int(factors[1])  # type: ignore[arg-type]


def _is_vector(editor: Editor, bias: Any) -> bool:
    return editor.is_constant(bias) and editor.tensor(bias).ndim == 1


def _is_matrix(editor: Editor, node: Any) -> bool:
    return editor.is_constant(node) and editor.tensor(node).ndim == 2  # noqa: PLR2004
