"""Spells activations as relu, clamp, sigmoid, tanh, gelu, hardswish, or products of them.

Requires: nothing. Ensures: no hardtanh, relu6, clamp_min, clamp_max, prelu, silu or hardsigmoid is left;
silu(x) is x * sigmoid(x), so that every runtime rounds the same two values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.program import Program, Step
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["canonicalize_activations"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("canonicalize_activations")])
def canonicalize_activations(program: Program) -> Program:
    """Returns the program with every activation in its canonical form."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan():
        rewrite = _REWRITES.get(node.target)
        new = rewrite(editor, node) if rewrite else None
        if new is not None:
            editor.replace(node, new)
            changed += 1
    return (
        editor.finish(Step("canonicalize_activations", {}, {"changed": changed}))
        if changed
        else program
    )


def _clamp(editor: Editor, node: torch.fx.Node, value: Any, low: Any, high: Any) -> torch.fx.Node:
    dtype = node.meta["val"].dtype
    low = None if low is None or low == -math.inf else low
    high = None if high is None or high == math.inf else high
    if not dtype.is_floating_point:
        return _integer_clamp(editor, node, value, low, high)
    if value.meta["val"].dtype != dtype:  # integers between real bounds become real
        kind = {"dtype": dtype}
        value = editor.call(aten._to_copy.default, (value,), before=node, like=node, kwargs=kind)  # noqa: SLF001 (an operator's name)
    low, high = (None if end is None else float(end) for end in (low, high))
    if low is None and high is None:
        return value  # type: ignore[no-any-return]
    if low == 0 and high is None:
        return editor.call(aten.relu.default, (value,), before=node, like=node)
    return editor.call(aten.clamp.default, (value, low, high), before=node, like=node)


def _integer_clamp(
    editor: Editor, node: torch.fx.Node, value: Any, low: Any, high: Any
) -> torch.fx.Node:
    """Integers keep their type: the activations of runtimes are for real numbers."""
    kind = node.meta["val"].dtype
    for end, target in ((low, aten.maximum.default), (high, aten.minimum.default)):
        if end is not None:
            bound = editor.add_constant(f"{node.name}_bound", torch.tensor([int(end)], dtype=kind))
            if value.meta["val"].ndim == 0:
                editor.set_tensor(bound, editor.tensor(bound).reshape(()))
            value = editor.call(target, (value, bound), before=node, like=node)
    return value  # type: ignore[no-any-return]


def _relu(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    if node.meta["val"].dtype.is_floating_point:
        return None
    return _integer_clamp(editor, node, node.args[0], 0, None)


def _hardtanh(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    bounds = node.args[1:] or (-1.0, 1.0)
    return _clamp(editor, node, node.args[0], bounds[0], bounds[1])


def _relu6(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    return _clamp(editor, node, node.args[0], 0, 6)


def _clamp_min(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    return _clamp(editor, node, node.args[0], node.args[1], None)


def _clamp_max(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    return _clamp(editor, node, node.args[0], None, node.args[1])


def _open_clamp(editor: Editor, node: torch.fx.Node) -> torch.fx.Node | None:
    """clamp(x, 0, inf) is relu; any other clamp stays."""
    low = node.args[1] if len(node.args) > 1 else node.kwargs.get("min")
    high = node.args[2] if len(node.args) > 2 else node.kwargs.get("max")  # noqa: PLR2004
    canonical = (
        node.args[0].meta["val"].dtype == node.meta["val"].dtype  # type: ignore[union-attr]
        and node.meta["val"].dtype.is_floating_point
        and len(node.args) == 3  # noqa: PLR2004
        and not node.kwargs
        and (isinstance(low, float) or low is None)
        and (isinstance(high, float) or high is None)
    )
    bounded = (low, high) not in ((0.0, None), (None, None)) and not _is_open(low, high)
    if canonical and bounded:
        return None
    return _clamp(editor, node, node.args[0], low, high)


def _prelu(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    """prelu(x) = max(x, 0) + a * min(x, 0): integer runtimes have all of its parts."""
    x, slope = node.args
    shape = [1] * node.meta["val"].ndim
    if len(shape) > 1:
        shape[1] = -1
    slope = _reshaped(editor, node, slope, shape)
    above = editor.call(aten.relu.default, (x,), before=node, like=node)
    below = editor.call(aten.clamp.default, (x, None, 0.0), before=node, like=node)
    bent = editor.call(aten.mul.Tensor, (below, slope), before=node, like=node)
    return editor.call(aten.add.Tensor, (above, bent), before=node, like=node)


def _reshaped(editor: Editor, node: torch.fx.Node, value: Any, shape: list[int]) -> torch.fx.Node:
    if editor.is_constant(value):
        return editor.add_constant(f"{node.name}_slope", editor.tensor(value).reshape(shape))
    return editor.call(aten.reshape.default, (value, shape), before=node, like=node)


def _is_open(*ends: Any) -> bool:
    return any(end is not None and math.isinf(end) for end in ends)


def _silu(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    gate = editor.call(aten.sigmoid.default, (node.args[0],), before=node, like=node)
    return editor.call(aten.mul.Tensor, (node.args[0], gate), before=node, like=node)


def _hardsigmoid(editor: Editor, node: torch.fx.Node) -> torch.fx.Node:
    shifted = editor.call(aten.add.Tensor, (node.args[0], 3.0), before=node, like=node)
    ramp = editor.call(aten.clamp.default, (shifted, 0.0, 6.0), before=node, like=node)
    return editor.call(aten.mul.Tensor, (ramp, 1 / 6), before=node, like=node)


_REWRITES: dict[Any, Callable[[Editor, torch.fx.Node], torch.fx.Node | None]] = {
    aten.hardtanh.default: _hardtanh,
    aten.relu6.default: _relu6,
    aten.clamp_min.default: _clamp_min,
    aten.clamp_max.default: _clamp_max,
    aten.clamp.default: _open_clamp,
    aten.relu.default: _relu,
    aten.prelu.default: _prelu,
    aten.silu.default: _silu,
    aten.hardsigmoid.default: _hardsigmoid,
}
