"""Recurrent layers step by step, for runtimes without a kernel or a loop for them.

One linear multiplies the inputs of all steps, one more in each step the hidden state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from edgeopt.ir.decompositions.rule_table import Decompositions
from edgeopt.ir.recurrence import SETTINGS, RecurrentLayer, as_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    States = tuple[Tensor, ...]
    Cell = Callable[[Tensor, Tensor, States], States]

__all__ = ["RULES"]

aten = torch.ops.aten

RULES = Decompositions()


@RULES(aten.lstm.input)
def lstm(x: Tensor, states: list[Tensor], parameters: list[Tensor], *settings: Any) -> States:
    """Hochreiter and Schmidhuber, "Long short-term memory", 1997, with a forget gate."""
    return _steps(_lstm_cell, as_layer(x, states, parameters), settings)


@RULES(aten.gru.input)
def gru(x: Tensor, state: Tensor, parameters: list[Tensor], *settings: Any) -> States:
    """Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, the reset behind the product."""
    return _steps(_gru_cell, as_layer(x, state, parameters), settings)


@RULES(aten.rnn_tanh.input)
def rnn_tanh(x: Tensor, state: Tensor, parameters: list[Tensor], *settings: Any) -> States:
    """Elman, "Finding structure in time", 1990."""
    return _steps(_plain_cell(torch.tanh), as_layer(x, state, parameters), settings)


@RULES(aten.rnn_relu.input)
def rnn_relu(x: Tensor, state: Tensor, parameters: list[Tensor], *settings: Any) -> States:
    """The same with relu."""
    return _steps(_plain_cell(torch.relu), as_layer(x, state, parameters), settings)


def _steps(cell: Cell, layer: RecurrentLayer, settings: tuple[Any, ...]) -> States:
    """Returns all hidden states, (steps, batch, hidden), and the last of each state.

    Raises:
        NotImplementedError: The layer is not in canonical form.
    """
    if settings != SETTINGS:
        raise NotImplementedError("a recurrent layer that is not in canonical form")
    products = aten.linear.default(layer.x, layer.input_weight, layer.input_bias)
    states = tuple(state.squeeze(0) for state in layer.states)
    outputs = []
    for step in products.unbind(0):
        product = aten.linear.default(states[0], layer.hidden_weight, layer.hidden_bias)
        states = cell(step, product, states)
        outputs.append(states[0])
    return torch.stack(outputs), *(state.unsqueeze(0) for state in states)


def _lstm_cell(x: Tensor, product: Tensor, states: States) -> States:
    i, f, g, o = (x + product).chunk(4, -1)
    cell = torch.sigmoid(f) * states[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell


def _gru_cell(x: Tensor, product: Tensor, states: States) -> States:
    (x_r, x_z, x_n), (h_r, h_z, h_n) = x.chunk(3, -1), product.chunk(3, -1)
    new = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return (new + torch.sigmoid(x_z + h_z) * (states[0] - new),)


def _plain_cell(activation: Callable[[Tensor], Tensor]) -> Cell:
    return lambda x, product, _: (activation(x + product),)
