"""Folds batch norm into the convolution or linear before it; elsewhere it becomes mul and add.

Requires: canonical convolutions; inference batch norm with constant statistics. Ensures: no batch norm is left.
Source: Jacob et al. 2018, section 3.2: w' = w·γ/√(σ²+ε), b' = (b−μ)·γ/√(σ²+ε) + β.
"""

from __future__ import annotations

import operator
from typing import Any

import torch

from edgeopt.ir import ops
from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

__all__ = ["fold_batch_norm"]

aten = torch.ops.aten
_NORM = aten._native_batch_norm_legit_no_training.default  # noqa: SLF001 (an operator's name)


@graph_pass(requires=[settled("canonicalize_convolutions")], ensures=[settled("fold_batch_norm")])
def fold_batch_norm(program: Program) -> Program:
    """Returns the program without batch norm."""
    editor = Editor(program)
    folded = rewrites = 0
    for norm in editor.scan(_NORM):
        users = [u for u in norm.users if u.target is operator.getitem and u.args[1] == 0]
        if not users or not all(editor.is_constant(a) for a in norm.args[3:5]):
            continue
        scale, shift = _affine(editor, norm)
        source: Any = norm.args[0]
        if _is_foldable(editor, source):
            _fold(editor, source, scale, shift)
            new = source
            folded += 1
        else:
            new = _decomposed(editor, norm, scale, shift)
            rewrites += 1
        for user in users:
            editor.replace(user, new)
    if not folded + rewrites:
        return program
    return editor.finish(Step("fold_batch_norm", {}, {"folded": folded, "decomposed": rewrites}))


def _is_foldable(editor: Editor, source: torch.fx.Node) -> bool:
    """Batch norm counts channels on axis 1: of a linear that is the last axis of a matrix only."""
    if not ops.is_weighted(source) or len(source.users) != 1:
        return False
    if source.target is aten.linear.default and source.meta["val"].ndim != 2:  # noqa: PLR2004
        return False
    return _owns(editor, source)


def _affine(editor: Editor, norm: torch.fx.Node) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a and b of a·x + b, in float64, one a channel."""
    _, gamma, beta, mean, var, _, eps = norm.args
    mean, var = editor.tensor(mean).double(), editor.tensor(var).double()  # type: ignore[arg-type]
    scale = 1 / torch.sqrt(var + float(eps))  # type: ignore[arg-type]
    if gamma is not None:
        scale = scale * editor.tensor(gamma).double()  # type: ignore[arg-type]
    shift = -mean * scale
    if beta is not None:
        shift = shift + editor.tensor(beta).double()  # type: ignore[arg-type]
    return scale, shift


def _owns(editor: Editor, layer: torch.fx.Node) -> bool:
    _, weight, bias = ops.weighted_parts(layer)
    operands = [n for n in (weight, bias) if n is not None]
    return all(editor.is_constant(n) and len(n.users) == 1 for n in operands)


def _fold(editor: Editor, layer: torch.fx.Node, scale: torch.Tensor, shift: torch.Tensor) -> None:
    _, weight, bias = ops.weighted_parts(layer)
    tensor = editor.tensor(weight)
    spread = [1] * tensor.ndim
    if ops.is_transposed(layer):
        groups = int(layer.args[6]) if len(layer.args) > 6 else 1  # type: ignore[arg-type]  # noqa: PLR2004
        per_group = scale.reshape(groups, -1).repeat_interleave(tensor.shape[0] // groups, dim=0)
        factor = per_group[:, :, None, None]
    else:
        spread[0] = -1
        factor = scale.reshape(spread)
    editor.set_tensor(weight, (tensor.double() * factor).to(tensor.dtype))
    old = editor.tensor(bias).double() if bias is not None else torch.zeros_like(scale)
    new = (old * scale + shift).to(tensor.dtype)
    if bias is not None:
        editor.set_tensor(bias, new)
        return
    added = editor.add_constant(f"{layer.name}_bias", new)
    editor.update(layer, (*layer.args[:2], added, *layer.args[3:]))


def _decomposed(
    editor: Editor, norm: torch.fx.Node, scale: torch.Tensor, shift: torch.Tensor
) -> torch.fx.Node:
    value: Any = norm.args[0]
    dtype = value.meta["val"].dtype
    shape = [1, -1] + [1] * (value.meta["val"].ndim - 2)
    a = editor.add_constant(f"{norm.name}_scale", scale.to(dtype).reshape(shape))
    b = editor.add_constant(f"{norm.name}_shift", shift.to(dtype).reshape(shape))
    scaled = editor.call(aten.mul.Tensor, (value, a), before=norm, like=norm)
    return editor.call(aten.add.Tensor, (scaled, b), before=norm, like=norm)
