"""Writes recurrent layers as one node for each layer and direction.

Requires: nothing. Ensures: an LSTM, GRU or plain recurrent node is one layer in one direction, time first, with
both biases and without a projection; its last hidden state is a slice of its output.
"""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.edit import Editor
from edgeopt.ir.inlining import inline
from edgeopt.ir.operators import RECURRENT
from edgeopt.ir.program import Program, Step
from edgeopt.ir.recurrence import SETTINGS
from edgeopt.passes.base import graph_pass, settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["canonicalize_recurrence"]

aten = torch.ops.aten


@graph_pass(ensures=[settled("canonicalize_recurrence")])
def canonicalize_recurrence(program: Program) -> Program:
    """Returns the program with recurrent layers in canonical form."""
    editor = Editor(program)
    changed = 0
    for node in editor.scan(*RECURRENT):
        if _is_canonical(node):
            continue
        begins_at_zero = all(_is_zero(editor, state) for state in _listed(node.args[1]))
        layers = partial(_layer_by_layer, node.target, begins_at_zero=begins_at_zero)
        inline(editor, node, layers)
        changed += 1
    if not changed:
        return program
    return editor.finish(Step("canonicalize_recurrence", {}, {"changed": changed}))


def _is_canonical(node: torch.fx.Node) -> bool:
    hidden_state_is_read = any(
        user.target is operator.getitem and user.args[1] == 1 for user in node.users
    )
    biased_and_unprojected = 4
    plain = len(node.args[2]) == biased_and_unprojected  # type: ignore[arg-type]
    return node.args[3:] == SETTINGS and plain and not hidden_state_is_read


def _is_zero(editor: Editor, state: Any) -> bool:
    if state.target in (aten.zeros_like.default, aten.new_zeros.default):
        return True
    if state.target is aten.full.default:
        return bool(state.args[1] == 0)
    return editor.is_constant(state) and not bool(editor.tensor(state).any())


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _layer_by_layer(target: Any, *arguments: Any, begins_at_zero: bool) -> tuple[Tensor, ...]:
    """Returns what ``target`` makes of its arguments, by one call for each layer and direction."""
    x, states, parameters, has_biases, layers, _, _, bidirectional, batch_first = arguments
    states = _listed(states)
    count = layers * (2 if bidirectional else 1)
    size = len(parameters) // count
    ends: list[tuple[Tensor, ...]] = []
    outputs: list[Tensor] = []
    x = x.transpose(0, 1) if batch_first else x
    for at in range(count):
        own = parameters[at * size : (at + 1) * size]
        own = own if has_biases else _with_biases(own)
        begin = [state[at : at + 1] for state in states]
        backwards = bidirectional and at % 2 == 1
        source = x.flip(0) if backwards else x
        output, *end = _one_layer(target, source, begin, own, begins_at_zero=begins_at_zero)
        ends.append((output[-1:], *end))
        outputs.append(output.flip(0) if backwards else output)
        if backwards or not bidirectional:
            x = torch.cat(outputs, -1) if bidirectional else output
            outputs = []
    result = x.transpose(0, 1) if batch_first else x
    return result, *(torch.cat(parts) for parts in zip(*ends, strict=True))


def _with_biases(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Returns weights, biases of zeros and, where there is one, the projection."""
    zeros = torch.zeros(parameters[0].shape[0])
    return [*parameters[:2], zeros, zeros, *parameters[2:]]


def _one_layer(
    target: Any,
    x: Tensor,
    states: list[Tensor],
    parameters: Sequence[Tensor],
    *,
    begins_at_zero: bool,
) -> tuple[Tensor, ...]:
    """Returns the outputs of one layer and, of an LSTM, its last cell.

    A projection of the hidden state, W m, is read by the next step's gates as U (W m): their weight becomes U W,
    and the projection a linear behind the layer. The projected state that it begins with is an input of the
    first step.
    """
    input_weight, hidden_weight, input_bias, hidden_bias, *projections = parameters
    for projection in projections:
        if not begins_at_zero:
            later = torch.zeros(x.shape[0] - 1, *states[0].shape[1:])
            x = torch.cat([x, torch.cat([states[0], later])], -1)
            input_weight = torch.cat([input_weight, hidden_weight], 1)
        hidden_weight = hidden_weight @ projection
        states = [torch.zeros(states[1].shape), states[1]]
    own = [input_weight, hidden_weight, input_bias, hidden_bias]
    begin = states if len(states) > 1 else states[0]
    output, _, *cell = target(x, begin, own, *SETTINGS)
    for projection in projections:
        output = aten.linear.default(output, projection)
    return output, *cell
