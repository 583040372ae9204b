"""Recurrent layers as one kernel: a loop over the steps, in it the product of the hidden state and the gates.

Its loops are written out, with vectors where they are: there is no choice for a schedule to make.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from tvm import te, tirx

from edgeopt.contracts.storage import INT8
from edgeopt_tvm.kernels.packing import lanes_for
from edgeopt_tvm.tuning.worker.inputs import SIZES
from edgeopt_tvm.values import constant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tvm import relax

    from edgeopt.ir.operators import RecurrentTraits
    from edgeopt_tvm.machine import Machine

__all__ = ["Recurrence"]

_VECTORS = 4
"""Vectors of sums that are made at once: each waits for its last addition."""


@dataclass(frozen=True)
class Recurrence:
    """What a recurrent layer does with its hidden state.

    Attributes:
        traits: What it computes a step.
        weight: Of the hidden state, (gates x hidden, hidden): float32, float16 or int8.
        scale: The weight's steps, one a row, where it is int8; else None.
        bias: Added to the product, (gates x hidden,) float32; None for zeros.
        machine: What code is made for.
    """

    traits: RecurrentTraits
    weight: np.ndarray
    scale: np.ndarray | None
    bias: np.ndarray | None
    machine: Machine

    def emit(
        self, bb: relax.BlockBuilder, products: relax.Expr, states: Sequence[relax.Expr]
    ) -> relax.Var:
        """Returns a tuple: the outputs of all steps, the last states, and memory for a step's sums.

        Args:
            bb: Where it is written.
            products: Of the inputs, biases added: (steps, batch, gates x hidden), float32.
            states: What it begins with, (batch, hidden) each, float32 or float16.
        """
        steps, batch, rows = (int(d) for d in products.ty.shape)
        hidden = rows // self.traits.gates
        factors = [a for a in (self.scale, self.bias) if a is not None]
        shapes = [(steps, batch, hidden), *[(batch, hidden)] * len(states), (batch, rows)]

        def compute(*tensors: te.Tensor) -> list[te.Tensor]:
            results: list[te.Tensor] = te.extern(
                shapes,
                list(tensors),
                lambda ins, outs: _Body(self, ins, outs).statement(),
                name="recurrence",
                dtype=["float32"] * len(shapes),
            )
            return results

        constants = [constant_of(np.ascontiguousarray(a)) for a in (self._packed(), *factors)]
        return bb.emit_te(
            compute,
            products,
            *states,
            *constants,
            primfunc_name_hint="recurrence",
            primfunc_attrs={SIZES: self._sizes()},
        )

    @property
    def lanes(self) -> int:
        """How many rows of the weight are multiplied at once."""
        rows = int(self.weight.shape[0])
        vector = lanes_for(rows, self.machine)
        return next(vector * n for n in (_VECTORS, 2, 1) if rows % (vector * n) == 0)

    def _sizes(self) -> list[float]:
        """Returns what the kernel is tried on: weights by which errors die away from step to step.

        Of larger ones they grow without bound, in right code too.
        """
        size = 1 / (32 * math.sqrt(self.weight.shape[1]))
        weight = [size] if self.scale is None else [1.0, -size / INT8.lowest]
        return [1.0] * (1 + self.traits.states) + weight + [1.0] * (self.bias is not None)

    def _packed(self) -> np.ndarray:
        """Returns the weight in blocks of rows: (blocks, hidden, lanes)."""
        rows, hidden = self.weight.shape
        return self.weight.reshape(rows // self.lanes, self.lanes, hidden).transpose(0, 2, 1)


class _Body:
    """The statements of the kernel.

    Args:
        recurrence: What it computes.
        ins: Products of the inputs, states, weight, and as far as there are any its scale, and a bias.
        outs: Outputs, states, and a step's sums.
    """

    def __init__(self, recurrence: Recurrence, ins: Sequence[Any], outs: Sequence[Any]) -> None:
        self._traits, self._lanes = recurrence.traits, recurrence.lanes
        count = recurrence.traits.states
        self._products, self._weight, *factors = ins[0], *ins[1 + count :]
        self._scale = factors.pop(0) if recurrence.scale is not None else None
        self._bias = factors.pop(0) if recurrence.bias is not None else None
        self._begin = ins[1 : 1 + count]
        self._outputs, self._states, self._sums = outs[0], outs[1 : 1 + count], outs[-1]
        self._steps, self._batch, self._hidden = (int(d) for d in self._outputs.shape)
        self._vector = lanes_for(self._hidden, recurrence.machine)

    def statement(self) -> Any:
        """Returns all of it."""
        begin = [partial(_copied, s, o) for s, o in zip(self._begin, self._states, strict=True)]
        steps = _loop(self._steps, lambda t: _block(self._multiply(), self._step(t)))
        return _block(self._over_hidden(*begin), steps)

    def _multiply(self) -> Any:
        """Returns the product of the hidden state and the weight: sums stay in registers, a block at a time."""

        def block(b: Any, n: Any) -> Any:
            def in_lanes(value: Callable[[Any], Any]) -> Any:
                return _loop(
                    self._lanes,
                    lambda lane: _store(self._sums, value(lane), b, n * self._lanes + lane),
                    vector=True,
                )

            def added(k: Any) -> Any:
                state = self._states[0][b, k]
                return in_lanes(
                    lambda lane: (
                        self._sums[b, n * self._lanes + lane]
                        + state * self._weight[n, k, lane].astype("float32")
                    )
                )

            def scaled(lane: Any) -> Any:
                row = n * self._lanes + lane
                total = self._sums[b, row]
                total = total if self._scale is None else total * self._scale[row]
                return total if self._bias is None else total + self._bias[row]

            zeros = in_lanes(lambda _: tirx.const(0, "float32"))
            finished = self._scale is not None or self._bias is not None
            last = [in_lanes(scaled)] if finished else []
            return _block(zeros, _loop(self._hidden, added), *last)

        blocks = self._traits.gates * self._hidden // self._lanes
        return _loop(self._batch, lambda b: _loop(blocks, lambda n: block(b, n)))

    def _step(self, t: Any) -> Any:
        """Returns the states behind a step, the cell first, of which the hidden state is made; and its output."""
        states = [partial(self._next, at, t) for at in reversed(range(self._traits.states))]
        return self._over_hidden(*states, partial(self._output, t))

    def _next(self, at: int, t: Any, b: Any, j: Any) -> Any:
        places = [gate * self._hidden + j for gate in range(self._traits.gates)]
        x = [self._products[t, b, place] for place in places]
        h = [self._sums[b, place] for place in places]
        states = self._cell(x, h, [state[b, j] for state in self._states])
        return _store(self._states[at], states[at], b, j)

    def _output(self, t: Any, b: Any, j: Any) -> Any:
        return _store(self._outputs, self._states[0][b, j], t, b, j)

    def _cell(self, x: list[Any], h: list[Any], states: list[Any]) -> list[Any]:
        """Returns the expressions of the next states; an LSTM's hidden one reads the cell that is stored before."""
        if self._traits.activation == "relu":
            return [tirx.max(x[0] + h[0], tirx.const(0, "float32"))]
        if self._traits.activation:
            return [tirx.tanh(x[0] + h[0])]
        if self._traits.states == 1:
            new = tirx.tanh(x[2] + tirx.sigmoid(x[0] + h[0]) * h[2])
            return [new + tirx.sigmoid(x[1] + h[1]) * (states[0] - new)]
        i, f, g, o = (a + b for a, b in zip(x, h, strict=True))
        cell = tirx.sigmoid(f) * states[1] + tirx.sigmoid(i) * tirx.tanh(g)
        return [tirx.sigmoid(o) * tirx.tanh(states[1]), cell]

    def _over_hidden(self, *stores: Callable[[Any, Any], Any]) -> Any:
        """Returns ``stores`` of each sample and each number of a state, in vectors."""

        def in_lanes(store: Callable[[Any, Any], Any], b: Any, block: Any) -> Any:
            first = block * self._vector
            return _loop(self._vector, lambda lane: store(b, first + lane), vector=True)

        def vector(b: Any, block: Any) -> Any:
            return _block(*(in_lanes(store, b, block) for store in stores))

        count = self._hidden // self._vector
        return _loop(self._batch, lambda b: _loop(count, lambda block: vector(b, block)))


def _copied(source: Any, state: Any, b: Any, j: Any) -> Any:
    return _store(state, source[b, j].astype("float32"), b, j)


def _loop(extent: int, body: Callable[[Any], Any], *, vector: bool = False) -> Any:
    index = tirx.Var("i", "int32")
    kind = tirx.ForKind.VECTORIZED if vector and extent > 1 else tirx.ForKind.SERIAL
    return tirx.For(index, 0, extent, kind, body(index))


def _store(buffer: Any, value: Any, *index: Any) -> Any:
    return tirx.BufferStore(buffer, value, list(index))


def _block(*statements: Any) -> Any:
    return tirx.SeqStmt(list(statements)) if len(statements) > 1 else statements[0]
