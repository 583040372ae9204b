"""Recurrent layers: a loop over the steps.

UNIDIRECTIONAL_SEQUENCE_LSTM and _RNN are no faster, begin where the call before has ended, and give back no state;
a GRU has none. The products of the inputs are one FULLY_CONNECTED for all steps in front of the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.ir import orders
from edgeopt.ir.operators import traits_of
from edgeopt.ir.recurrence import layer_of
from edgeopt.lowering import NoRuleError
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.values import Copy, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgeopt.ir.operators import RecurrentTraits
    from edgeopt.ir.orders import Shape
    from edgeopt.ir.recurrence import RecurrentLayer
    from edgeopt_tflite.emitter import Emitter
    from edgeopt_tflite.flatbuffer import Tensor

    Cell = Callable[["_Layer", Tensor, Tensor, list[Tensor]], list[Tensor]]

__all__: list[str] = []

aten = torch.ops.aten

_LONGEST = 100
"""Steps of one loop. The runtime copies in each step what a loop carries, its outputs too: more steps are several."""


@lowers(aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input)
def _recurrent(e: Emitter, node: torch.fx.Node) -> None:
    layer = _Layer.of(e, node)
    products = layer.products()
    states = [
        e.read(e.view(e.value(state), layer.state), orders.identity(2)).tensor
        for state in layer.operands.states
    ]
    outputs = []
    for first in range(0, layer.steps, _LONGEST):
        steps = min(_LONGEST, layer.steps - first)
        output, *states = layer.loop(_part(e, products, first, steps), states)
        outputs.append(output)
    shape = (layer.steps, *layer.state)
    joined = outputs[0]
    if len(outputs) > 1:
        joined = e.emit(
            "CONCATENATION", outputs, shape, "Concatenation", axis=0, fusedActivationFunction=0
        )
    order = orders.identity(len(shape))
    e.results[node.name] = tuple(Copy(tensor, order) for tensor in (joined, *states))


def _part(e: Emitter, tensor: Tensor, first: int, count: int) -> Tensor:
    """Returns some steps of a sequence."""
    if count == tensor.shape[0]:
        return tensor
    shape = (count, *tensor.shape[1:])
    start = e.integers([first, 0, 0])
    return e.emit("SLICE", [tensor, start, e.integers(shape)], shape, "Slice")


@dataclass(frozen=True)
class _Layer:
    """A recurrent layer while it is written.

    Attributes:
        e: The emitter.
        operands: Its nodes.
        traits: What it computes a step.
        steps: The length of the sequence.
        state: The shape of a state: (batch, hidden).
        loops: For each length of a loop, the numbers of its two graphs: condition and body.
    """

    e: Emitter
    operands: RecurrentLayer
    traits: RecurrentTraits
    steps: int
    state: Shape
    loops: dict[int, tuple[int, int]]

    @classmethod
    def of(cls, e: Emitter, node: torch.fx.Node) -> _Layer:
        """Returns the layer of a node in canonical form.

        Raises:
            NoRuleError: The model computes its weights.
        """
        operands, traits = layer_of(node), traits_of(node).recurrent
        assert traits is not None  # noqa: S101 (the rule is for recurrent operators)
        constants = (*operands.weights, operands.input_bias, operands.hidden_bias)
        if not all(map(e.is_constant, constants)):
            raise NoRuleError("weights of a recurrent layer that the model computes")
        steps, batch, _ = e.shape(operands.x)
        return cls(e, operands, traits, steps, (batch, e.shape(operands.states[0])[-1]), {})

    @property
    def gates(self) -> Shape:
        """The shape of what the gates are made of: (batch, gates x hidden)."""
        return (self.state[0], self.traits.gates * self.state[1])

    def products(self) -> Tensor:
        """Writes the products of the inputs of all steps: (steps, batch, gates x hidden)."""
        e, operands = self.e, self.operands
        x = e.read(e.value(operands.x), orders.identity(3)).tensor
        bias = self._array(operands.input_bias)
        if not self._resets_behind_the_product:
            bias = bias + self._array(operands.hidden_bias)
        return self._product(x, operands.input_weight, bias)

    def loop(self, products: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """Writes the loop over some steps; returns their outputs and the last states."""
        e, steps = self.e, products.shape[0]
        shape = (steps, *self.state)
        zero = e.model.constant("zero", np.array(0.0, np.float32))
        empty = e.emit("FILL", [e.integers(shape), zero], shape, "Fill")
        begin = [e.integers([0]), products, empty, *states]
        if steps not in self.loops:
            self.loops[steps] = self._graphs(begin)
        condition, body = self.loops[steps]
        _, _, *results = e.emit_several(
            "WHILE", begin, [(t.shape, t.dtype) for t in begin], "While",
            condSubgraphIndex=condition, bodySubgraphIndex=body,
        )  # fmt: skip
        return results

    def _graphs(self, carried: Sequence[Tensor]) -> tuple[int, int]:
        """Writes condition and body of a loop that carries the step's number, products, outputs and states."""
        e = self.e
        with e.subgraph("condition") as graph:
            step, *others = [graph.tensor("carried", t.shape, t.dtype) for t in carried]
            limit = e.integers([carried[1].shape[0]])
            goes_on = e.emit("LESS", [step, limit], (1,), "Less", dtype="bool")
            condition = graph.close([step, *others], [goes_on])
        with e.subgraph("body") as graph:
            inputs = [graph.tensor("carried", t.shape, t.dtype) for t in carried]
            step, products, outputs, *states = inputs
            row = e.emit("GATHER", [products, step], (1, *self.gates), "Gather", axis=0)
            states = self._stepped(e.reshaped(row, self.gates), states)
            place = e.emit(
                "PAD", [step, e.model.constant("behind", np.array([[0, 2]], np.int32))],
                (3,), "Pad", dtype="int32",
            )  # fmt: skip
            output = e.reshaped(states[0], (1, *self.state))
            outputs = e.emit(
                "DYNAMIC_UPDATE_SLICE",
                [outputs, output, place],
                outputs.shape,
                "DynamicUpdateSlice",
            )
            following = self._of_two("ADD", step, e.integers([1]))
            body = graph.close(inputs, [following, products, outputs, *states])
        return condition, body

    def _stepped(self, row: Tensor, states: list[Tensor]) -> list[Tensor]:
        """Returns the states behind a step, the hidden one first."""
        e, operands = self.e, self.operands
        bias = self._array(operands.hidden_bias) if self._resets_behind_the_product else None
        product = self._product(states[0], operands.hidden_weight, bias)
        if self._resets_behind_the_product:
            return [self._gru(row, product, states[0])]
        total = self._of_two("ADD", row, product)
        if self.traits.activation:
            return [e.emit(self.traits.activation.upper(), [total], self.state)]
        i, f, g, o = self._parts(total)
        carried_cell = self._of_two("MUL", self._sigmoid(f), states[1])
        added = self._of_two("MUL", self._sigmoid(i), self._tanh(g))
        cell = self._of_two("ADD", carried_cell, added)
        return [self._of_two("MUL", self._sigmoid(o), self._tanh(cell)), cell]

    def _gru(self, row: Tensor, product: Tensor, state: Tensor) -> Tensor:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self._parts(row), self._parts(product)
        reset = self._sigmoid(self._of_two("ADD", x_r, h_r))
        update = self._sigmoid(self._of_two("ADD", x_z, h_z))
        new = self._tanh(self._of_two("ADD", x_n, self._of_two("MUL", reset, h_n)))
        remainder = self._of_two("MUL", update, self._of_two("SUB", state, new))
        return self._of_two("ADD", new, remainder)

    @property
    def _resets_behind_the_product(self) -> bool:
        """Whether it is a GRU: its hidden product has a bias of its own, which the reset gate scales too."""
        return self.traits.gates == 3  # noqa: PLR2004 (reset, update, new)

    def _product(self, x: Tensor, weight: Any, bias: np.ndarray | None) -> Tensor:
        e = self.e
        value: Value = e.value(weight)
        assert value.array is not None  # noqa: S101 (`of` has looked)
        matrix = e.stored(value, value.array)
        added = None if bias is None else e.model.constant("bias", bias)
        shape = (*x.shape[:-1], value.shape[0])
        return e.emit(
            "FULLY_CONNECTED", [x, matrix, added], shape, "FullyConnected", keepNumDims=True
        )

    def _array(self, bias: Any) -> np.ndarray:
        array = self.e.value(bias).array
        assert array is not None  # noqa: S101 (`of` has looked)
        return array

    def _parts(self, total: Tensor) -> list[Tensor]:
        e, count = self.e, self.traits.gates
        parts = [(self.state, "float32")] * count
        return e.emit_several("SPLIT", [e.integers([1]), total], parts, "Split", numSplits=count)

    def _of_two(self, code: str, a: Tensor, b: Tensor) -> Tensor:
        options = code.capitalize()
        return self.e.emit(code, [a, b], a.shape, options, dtype=a.dtype, fusedActivationFunction=0)

    def _sigmoid(self, x: Tensor) -> Tensor:
        return self.e.emit("LOGISTIC", [x], x.shape)

    def _tanh(self, x: Tensor) -> Tensor:
        return self.e.emit("TANH", [x], x.shape)
