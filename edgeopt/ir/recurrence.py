"""Recurrent layers in canonical form: one layer in one direction, time first, with both biases."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch

from edgeopt.ir.operators import RECURRENT, traits_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SETTINGS", "RecurrentLayer", "as_layer", "layer_of", "recurrent_values", "shapes_only"]

SETTINGS = (True, 1, 0.0, False, False, False)
"""The arguments behind the parameters in canonical form: has_biases, num_layers, dropout, train, bidirectional,
batch_first."""


@dataclass(frozen=True)
class RecurrentLayer:
    """The operands of a recurrent node in canonical form.

    Attributes:
        x: What it reads: (steps, batch, inputs).
        states: The hidden state that it begins with, and an LSTM's cell: (1, batch, hidden) each.
        input_weight: (gates x hidden, inputs), the gates in torch's order.
        hidden_weight: (gates x hidden, hidden).
        input_bias: (gates x hidden,), added to the product of the inputs.
        hidden_bias: (gates x hidden,), added to the product of the hidden state.
    """

    x: Any
    states: tuple[Any, ...]
    input_weight: Any
    hidden_weight: Any
    input_bias: Any
    hidden_bias: Any

    @property
    def weights(self) -> tuple[Any, Any]:
        """The two matrices."""
        return self.input_weight, self.hidden_weight


def layer_of(node: torch.fx.Node) -> RecurrentLayer:
    """Returns the operands of a recurrent node in canonical form."""
    arguments: tuple[Any, ...] = node.args
    return as_layer(*arguments[:3])


def as_layer(x: Any, states: Any, parameters: Sequence[Any]) -> RecurrentLayer:
    """Returns a recurrent layer of its operator's first arguments."""
    states = tuple(states) if isinstance(states, (list, tuple)) else (states,)
    return RecurrentLayer(x, states, *parameters)


def recurrent_values(target: Any, *arguments: Any) -> tuple[torch.Tensor, ...]:
    """Returns tensors of the shapes that a recurrent operator makes, without running its steps.

    Args:
        target: The operator.
        arguments: Its own: input, states, parameters, has_biases, num_layers, dropout, train, bidirectional,
            batch_first.
    """
    x, states, *_, bidirectional, _ = arguments
    states = states if traits_of(target).recurrent.states > 1 else [states]  # type: ignore[union-attr]
    width = states[0].shape[-1] * (2 if bidirectional else 1)
    return x.new_empty((*x.shape[:2], width)), *(s.new_empty(s.shape) for s in states)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Lets torch trace recurrent operators by their shapes: it would run each step on tensors without content."""
    key = torch._C.DispatchKey.CompositeImplicitAutograd  # noqa: SLF001 (no public name)
    autograd = torch._C.DispatchKey.Autograd  # noqa: SLF001 (likewise)
    with ExitStack() as stack:
        for operator in RECURRENT:
            rule = partial(recurrent_values, operator)
            stack.enter_context(mock.patch.dict(operator.py_kernels, {key: rule, autograd: rule}))
            operator._dispatch_cache.clear()  # noqa: SLF001 (what the dispatcher has looked up)
            stack.callback(operator._dispatch_cache.clear)  # noqa: SLF001
        yield
