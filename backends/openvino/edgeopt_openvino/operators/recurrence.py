"""Recurrent layers: OpenVINO's sequences, whose gates come in another order than torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import openvino.opset13 as op
import torch

from edgeopt.ir.operators import traits_of
from edgeopt.ir.recurrence import layer_of
from edgeopt.lowering import NoRuleError
from edgeopt_openvino import constants
from edgeopt_openvino.operator_rules import rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.ir.recurrence import RecurrentLayer
    from edgeopt_openvino.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_LSTM_GATES = (1, 0, 2, 3)
"""f, i, c, o of torch's i, f, g, o."""
_GRU_GATES = (1, 0, 2)
"""z, r, h of torch's r, z, n."""


@rule(aten.lstm.input)
def lstm(e: Emitter, node: Any) -> Any:
    """One layer in one direction."""
    weights = _weights(e, node, _LSTM_GATES)
    biases = _rows(_bias(e, node, "input") + _bias(e, node, "hidden"), _LSTM_GATES)
    return _sequence(e, node, op.lstm_sequence, *weights, biases)


@rule(aten.gru.input)
def gru(e: Emitter, node: Any) -> Any:
    """The same, the reset behind the product: so the new gate has both of its biases."""
    weights = _weights(e, node, _GRU_GATES)
    inputs, hidden = (_rows(_bias(e, node, side), _GRU_GATES) for side in ("input", "hidden"))
    size = inputs.shape[1] // len(_GRU_GATES)
    sums = (inputs + hidden)[:, : 2 * size]
    biases = np.concatenate([sums, inputs[:, 2 * size :], hidden[:, 2 * size :]], 1)
    return _sequence(e, node, op.gru_sequence, *weights, biases, linear_before_reset=True)


@rule(aten.rnn_tanh.input, aten.rnn_relu.input)
def rnn(e: Emitter, node: Any) -> Any:
    """One layer without gates."""
    weights = _weights(e, node, (0,))
    biases = (_bias(e, node, "input") + _bias(e, node, "hidden"))[None]
    recurrent = traits_of(node).recurrent
    activation = recurrent.activation if recurrent is not None else ""
    return _sequence(e, node, op.rnn_sequence, *weights, biases, activations=[activation])


def _sequence(
    e: Emitter,
    node: Any,
    make: Callable[..., Any],
    *parameters: Any,
    **attributes: Any,
) -> tuple[Any, ...]:
    """Returns the outputs, steps first, and the last of each state."""
    layer = layer_of(node)
    steps, batch, _ = layer.x.meta["val"].shape
    hidden = int(layer.states[0].meta["val"].shape[-1])
    x, *states = (_turned(e.value(value), (1, 0, 2)) for value in (layer.x, *layer.states))
    lengths = constants.numbers([int(steps)] * int(batch))
    sequence = make(x, *states, lengths, *parameters, hidden, "forward", **attributes)
    sequence.set_friendly_name(node.name)
    outputs = _turned(sequence.output(0), (2, 0, 1, 3))
    flat = constants.numbers([int(steps), int(batch), hidden])
    ends = (_turned(sequence.output(1 + at), (1, 0, 2)) for at in range(len(states)))
    return op.reshape(outputs, flat, special_zero=False), *ends


def _turned(value: Any, axes: Sequence[int]) -> Any:
    return op.transpose(value, constants.numbers(axes))


def _weights(e: Emitter, node: Any, gates: Sequence[int]) -> list[Any]:
    """Returns both matrices, (1, rows, columns), as they are stored."""
    weights = layer_of(node).weights
    return [
        constants.constant(e.program, _constant(e, weight), lambda a: _rows(a, gates), folded=True)
        for weight in weights
    ]


def _bias(e: Emitter, node: Any, side: str) -> np.ndarray:
    layer: RecurrentLayer = layer_of(node)
    bias = layer.input_bias if side == "input" else layer.hidden_bias
    return constants.array(e.program.constants[_constant(e, bias)])


def _rows(values: np.ndarray, gates: Sequence[int]) -> np.ndarray:
    """Returns rows in the order of ``gates``, behind an axis for the direction."""
    blocks = values.reshape(len(gates), -1, *values.shape[1:])[list(gates)]
    return blocks.reshape(1, *values.shape)


def _constant(e: Emitter, node: Any) -> str:
    if node.name not in e.program.constants:
        raise NoRuleError("weights of a recurrent layer that the model computes")
    return str(node.name)
