"""Holds the values of a model that is being written, and gives them as operators need them.

Views cost nothing: a reshape or permute only changes how the memory of a value is read (see
`edgeopt.ir.orders`). A RESHAPE or TRANSPOSE is emitted where an operator needs a shape or an
order that no tensor of the value has, and then once.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.contracts.storage import INT4, INT32
from edgeopt.ir import orders
from edgeopt.ir.rounding import round_and_clip
from edgeopt.lowering import Emitter
from edgeopt_tflite.flatbuffer import ModelBuilder, Tensor
from edgeopt_tflite.kernel_types import require_types
from edgeopt_tflite.values import Copy, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt.contracts.storage import StorageType
    from edgeopt.ir import Program, QuantSpec
    from edgeopt.ir.orders import Order, Shape

__all__ = ["Storage"]

_LARGEST_TRANSPOSE = 4
"""Dimensions up to which TRANSPOSE is fast in every runtime; larger ones are merged first."""


class Storage(Emitter):
    """Values and the tensors that hold them.

    Attributes:
        model: The model so far.
        emitted: Node name to the numbers of the operators written for it.
        origins: Tensor number to the program's value it came from.
        exact: Names of nodes that go through float operators, and make the reference's integers.
        tables_only: Whether functions of one int8 value are looked up even where a float operator does.
    """

    def __init__(self, program: Program, *, tables_only: bool = False) -> None:
        super().__init__(program)
        self.tables_only = tables_only
        self.model = ModelBuilder()
        self.emitted: dict[str, list[int]] = {}
        self.origins: dict[int, str] = {}
        self.results: dict[str, tuple[Copy, ...]] = {}
        self.exact: set[str] = set()
        self._expansions: dict[int, Tensor] = {}
        self._current = ""

    # -- operators ----------------------------------------------------------------------------

    def emit(
        self,
        code: str,
        inputs: Sequence[Tensor | None],
        shape: Sequence[int],
        options: str = "",
        *,
        dtype: str = "float32",
        grid: QuantSpec | None = None,
        **values: Any,
    ) -> Tensor:
        """Returns the one output of a new operator.

        Args:
            code: The operator's name in ``BuiltinOperator``.
            inputs: What it takes.
            shape: The shape of its output, as stored.
            options: The name of its options, without the ending.
            dtype: The type of its output; ``int8`` where ``grid`` is given.
            grid: The grid of its output.
            **values: Its options.
        """
        kind = grid.dtype if grid is not None else dtype
        output = self._made(code, shape, kind, grid)
        self._operator(code, inputs, [output], options, **values)
        return output

    def emit_several(
        self,
        code: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[tuple[Sequence[int], str]],
        options: str = "",
        **values: Any,
    ) -> list[Tensor]:
        """Returns the outputs of a new operator, of which each has a shape and a type."""
        tensors = [self._made(code, shape, kind) for shape, kind in outputs]
        self._operator(code, inputs, tensors, options, **values)
        return tensors

    def _made(
        self, code: str, shape: Sequence[int], kind: str, grid: QuantSpec | None = None
    ) -> Tensor:
        output = self.model.tensor(f"{self._current}/{code.lower()}", shape, kind, grid)
        self.origins[output.index] = self._current
        return output

    def _operator(
        self,
        code: str,
        inputs: Sequence[Tensor | None],
        made: Sequence[Tensor],
        options: str,
        **values: Any,
    ) -> None:
        self.require(code, inputs, made)
        self.emitted.setdefault(self._current, []).append(len(self.model.operators))
        self.model.operator(code, inputs, made, options, **values)

    def require(
        self,
        code: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],  # noqa: ARG002 (other runtimes look at them)
    ) -> None:
        """Checks that the runtime's kernel of ``code`` takes the types of ``inputs``.

        Raises:
            NoRuleError: It does not.
        """
        require_types(code, inputs)

    @contextmanager
    def subgraph(self, name: str) -> Iterator[ModelBuilder]:
        """Emits into another graph of the model meanwhile, such as the body of a loop; yields its builder.

        Values of the program are not to be read meanwhile: each graph has tensors of its own.
        """
        outside = (self.model, self.emitted, self.origins, self._expansions)
        self.model = self.model.subgraph(name)
        self.emitted, self.origins, self._expansions = {}, {}, {}
        try:
            yield self.model
        finally:
            self.model, self.emitted, self.origins, self._expansions = outside

    def note_exact(self) -> None:
        """Notes that the node which is being written is one of `exact`."""
        self.exact.add(self._current)

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Counts operators that are emitted meanwhile as those of node ``name``."""
        before, self._current = self._current, name
        self.emitted.setdefault(name, [])
        try:
            yield
        finally:
            self._current = before

    # -- reading values -----------------------------------------------------------------------

    def value(self, node: torch.fx.Node) -> Value:
        """Returns the value of a node, which is emitted now if it was put off."""
        value: Value = super().value(node)
        if value.make is not None:
            make, value.make = value.make, None
            with self.writing(node.name):
                make()
            value = super().value(node)
        return value

    def view(self, value: Value, shape: Shape) -> Value:
        """Returns ``value`` as one of another shape, without an operator where that can be."""
        if value.array is not None:
            return replace(value, shape=shape, array=value.array.reshape(shape))
        if value.shape == shape:
            return value
        new_orders = [
            orders.reshaped(value.shape, storage.order, shape) for storage in value.copies
        ]
        if new_orders[0] is None and not any(o is not None for o in new_orders):
            self.read(value, orders.identity(len(value.shape)), integer=True)
            return self.view(value, shape)
        storage = [
            Copy(h.tensor, o)
            for h, o in zip(value.copies, new_orders, strict=True)
            if o is not None
        ]
        return Value(value.name, shape, value.dtype, storage)

    def permuted(self, value: Value, axes: Sequence[int]) -> Value:
        """Returns ``value`` with its dimensions in the sequence ``axes``, without an operator."""
        shape = tuple(value.shape[a] for a in axes)
        if value.array is not None:
            return replace(value, shape=shape, array=value.array.transpose(axes))
        copies = [Copy(h.tensor, orders.permuted(h.order, axes)) for h in value.copies]
        return Value(value.name, shape, value.dtype, copies)

    def read(
        self,
        value: Value,
        order: Order | None = None,
        *,
        last: int | None = None,
        integer: bool = False,
    ) -> Copy:
        """Returns a tensor that holds ``value``, of the shape that its order says.

        Args:
            value: What to read.
            order: The order it must have; None for the one it was made in.
            last: The dimension that must be the last in memory, where ``order`` is None.
            integer: Whether a value on a grid is read as integers; else as real numbers.
        """
        if value.array is not None:
            return self._read_constant(value, order, last, integer=integer)
        if order is None:
            order = _order_with_last(value, last)
        copy = self._arranged(value, order)
        if integer or copy.tensor.grid is None:
            return copy
        return self._dequantized(value, copy)

    def _arranged(self, value: Value, order: Order) -> Copy:
        """Returns a tensor in ``order``, with integers where the value is made of integers."""
        originals = [h for h in value.copies if h.tensor.dtype == value.copies[0].tensor.dtype]
        shape = orders.stored_shape(value.shape, order)
        alike = [h for h in originals if orders.same_memory(value.shape, h.order, order)]
        for copy in alike:
            if copy.tensor.shape == shape:
                return Copy(copy.tensor, order)
        tensor = alike[0].tensor if alike else self._transposed(value, originals[0], order)
        if tensor.shape != shape:
            tensor = self._reshaped(value, tensor, shape)
        value.copies.append(Copy(tensor, order))
        return value.copies[-1]

    def _transposed(self, value: Value, held: Copy, order: Order) -> Tensor:
        """Returns the memory in another order; the shape of the result is what came of it."""
        shape = orders.stored_shape(value.shape, held.order)
        axes = tuple(held.order.index(d) for d in order)
        tensor = held.tensor
        if tensor.shape != shape or len(shape) > _LARGEST_TRANSPOSE:
            shape, axes = orders.merged_transpose(value.shape, held.order, order)
            if tensor.shape != shape:
                tensor = self._reshaped(value, tensor, shape)
        out = tuple(shape[a] for a in axes)
        output = self._like(value, f"{value.name}/transposed", out, tensor)
        self._operator("TRANSPOSE", [tensor, self.integers(axes)], [output], "Transpose")
        return output

    def _reshaped(self, value: Value, tensor: Tensor, shape: Shape) -> Tensor:
        output = self._like(value, f"{value.name}/reshaped", shape, tensor)
        self._operator(
            "RESHAPE",
            [tensor, self.integers(shape)],
            [output],
            "Reshape",
            newShape=np.array(shape, np.int32),
        )
        return output

    def _dequantized(self, value: Value, held: Copy) -> Copy:
        for other in value.copies:
            same = orders.same_memory(value.shape, other.order, held.order)
            if other.tensor.dtype == "float32" and same and other.tensor.shape == held.tensor.shape:
                return Copy(other.tensor, held.order)
        output = self.model.tensor(f"{value.name}/real", held.tensor.shape, "float32")
        self.origins[output.index] = value.name
        self._operator("DEQUANTIZE", [held.tensor], [output], "Dequantize")
        value.copies.append(Copy(output, held.order))
        return value.copies[-1]

    def _like(self, value: Value, name: str, shape: Shape, tensor: Tensor) -> Tensor:
        output = self.model.tensor(name, shape, tensor.dtype, tensor.grid)
        self.origins[output.index] = value.name
        return output

    def _read_constant(
        self, value: Value, order: Order | None, last: int | None, *, integer: bool
    ) -> Copy:
        if order is None:
            order = orders.identity(len(value.shape))
            order = order if last is None else orders.with_last(order, last)
        array = value.array
        assert array is not None  # noqa: S101 (the caller looked)
        return Copy(self.stored(value, array.transpose(order), integer=integer), order)

    def stored(
        self,
        value: Value,
        array: np.ndarray,
        *,
        integer: bool = False,
        axis: int = 0,
        dtype: str = "",
    ) -> Tensor:
        """Returns a tensor with the content of a constant, stored as its grid says.

        Args:
            value: The constant.
            array: Its content, rearranged.
            integer: Whether an operator on integers reads it.
            axis: Where ``array`` has the channels of a grid with one scale a channel.
            dtype: What its integers are stored in, where a kernel wants them wider.
        """
        spec = value.spec
        if spec is None or value.dtype != "float32":
            return self._constant(value, array)
        if spec.storage.floating:
            return self._expanded(value, self._constant(value, array.astype(np.float16)))
        if not integer and (spec.axis is None or spec.storage == INT32):
            return self._constant(value, array)
        integers = quantized(array, spec, axis)
        if spec.storage.is_packed:  # of 2 and 3 bits too: its kernels unpack 4
            return self._constant(value, integers, spec, axis, INT4)
        whole = self._constant(value, integers.astype(dtype or integers.dtype), spec, axis)
        return whole if integer else self._expanded(value, whole)

    def _constant(
        self,
        value: Value,
        array: np.ndarray,
        spec: QuantSpec | None = None,
        axis: int = 0,
        storage: StorageType | None = None,
    ) -> Tensor:
        tensor = self.model.constant(value.name, array, spec, axis, storage)
        self.origins.setdefault(tensor.index, value.name)
        return tensor

    def _expanded(self, value: Value, tensor: Tensor) -> Tensor:
        """Returns a constant as float32, which the runtime computes once, when it is loaded."""
        if tensor.index not in self._expansions:
            output = self.model.tensor(f"{value.name}/real", tensor.shape, "float32")
            self.origins[output.index] = value.name
            self._operator("DEQUANTIZE", [tensor], [output], "Dequantize")
            self._expansions[tensor.index] = output
        return self._expansions[tensor.index]

    def reshaped(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Returns ``tensor`` with another shape, by an operator where it is not its own."""
        if tensor.shape == shape:
            return tensor
        return self.emit(
            "RESHAPE", [tensor, self.integers(shape)], shape, "Reshape",
            dtype=tensor.dtype, grid=tensor.grid, newShape=np.array(shape, np.int32),
        )  # fmt: skip

    def integers(self, values: Sequence[int]) -> Tensor:
        """Returns a constant of int32: axes, sizes or paddings."""
        return self.model.constant("integers", np.array(values, np.int32))

    def scalar(self, value: float, dtype: str) -> Tensor:
        """Returns a constant of one element."""
        return self.model.constant("scalar", np.array([value], dtype))


def quantized(array: np.ndarray, spec: QuantSpec, axis: int) -> np.ndarray:
    """Returns the integers of ``array``, computed in float64: float32 holds none above 2**24."""
    shape = [1] * array.ndim
    if spec.axis is not None:
        shape[axis] = -1
    scale = spec.scale.numpy().astype(np.float64).reshape(shape if spec.axis is not None else -1)
    zero = spec.zero_point.numpy().reshape(shape if spec.axis is not None else -1)
    exact, step, shift = (torch.from_numpy(a) for a in (array.astype(np.float64), scale, zero))
    whole: np.ndarray = round_and_clip(exact, step, shift, spec.q_min, spec.q_max).numpy()
    return whole.astype(spec.storage.container)


def _order_with_last(value: Value, last: int | None) -> Order:
    order = value.copies[0].order
    if last is None or order[-1] == last:
        return order
    moved = orders.with_last(order, last)
    if orders.same_memory(value.shape, order, moved):
        return moved
    return orders.with_last(orders.identity(len(order)), last)
