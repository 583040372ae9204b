"""Recurrent layers: the products of all inputs at once, then one kernel over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tvm import relax

from edgeopt.ir import orders
from edgeopt.ir.operators import traits_of
from edgeopt.ir.recurrence import layer_of
from edgeopt.lowering import NoRuleError
from edgeopt_tvm import kernels
from edgeopt_tvm.operator_rules import rule
from edgeopt_tvm.operators.weighted import by_channel, stored_weight

if TYPE_CHECKING:
    import numpy as np

    from edgeopt_tvm.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten


@rule(aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)
def recurrent(e: Emitter, node: Any) -> None:
    """One layer in one direction."""
    layer, traits = layer_of(node), traits_of(node).recurrent
    assert traits is not None  # noqa: S101 (the rule is for recurrent operators)
    steps, batch, inputs = e.shape(layer.x)
    hidden = e.shape(layer.states[0])[-1]
    bias, hidden_bias = _real(e, layer.input_bias), _real(e, layer.hidden_bias)
    (weight, scale), (hidden_weight, hidden_scale) = (
        stored_weight(e.program, matrix.name) for matrix in layer.weights
    )
    data = e.read(e.value(layer.x), orders.identity(3), real=True).expr
    sums = kernels.dense(e.builder, e.shaped(data, (steps * batch, inputs)), weight, e.machine)
    resets_behind_the_product = traits.gates == 3  # noqa: PLR2004 (a GRU: reset, update, new)
    if not resets_behind_the_product:
        bias = bias + hidden_bias
    factors = [bias] if scale is None else [scale.numpy(), bias]
    products = by_channel(e, _finished, [sums], factors)
    states = [
        e.shaped(e.read(e.value(s), orders.identity(3), real=True).expr, (batch, hidden))
        for s in layer.states
    ]
    kernel = kernels.Recurrence(
        traits,
        hidden_weight,
        None if hidden_scale is None else hidden_scale.numpy(),
        hidden_bias if resets_behind_the_product else None,
        e.machine,
    )
    shape = (steps, batch, traits.gates * hidden)
    results = kernel.emit(e.builder, e.shaped(products, shape), states)
    outputs, *ends = (
        e.builder.emit(relax.TupleGetItem(results, at)) for at in range(1 + len(states))
    )
    e.put_parts(node, [outputs, *(e.shaped(end, (1, batch, hidden)) for end in ends)])


def _finished(totals: list[Any], *factors: Any) -> Any:
    (total,), (*scale, bias) = totals, factors
    return (total * scale[0] if scale else total) + bias


def _real(e: Emitter, bias: Any) -> np.ndarray:
    """Returns the numbers of a bias.

    Raises:
        NoRuleError: The model computes it.
    """
    if bias.name not in e.program.constants:
        raise NoRuleError("a bias that is computed")
    array: np.ndarray = e.program.constants[bias.name].detach().float().numpy()
    return array
