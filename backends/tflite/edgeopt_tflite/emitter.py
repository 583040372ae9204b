"""Writes a canonical program into a TFLite model, node by node."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import edgeopt_tflite.ops  # noqa: F401 (enters the rules)
from edgeopt.ir import ops, orders
from edgeopt.ir.kernel_kind import activation_spec, gives_real_sums, kernel_kind
from edgeopt.lowering import NoRuleError
from edgeopt_tflite.inputs import input_order
from edgeopt_tflite.kernels import LARGEST_FACTOR, has_kernel, integer_factor
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.exact import requantized
from edgeopt_tflite.storage import Storage
from edgeopt_tflite.support import written_kind
from edgeopt_tflite.values import Copy, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from edgeopt.ir import KernelKind, Program, QuantSpec
    from edgeopt.ir.orders import Order, Shape
    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["Emitter"]

_TYPES = frozenset({"float32", "int64", "int32", "int16", "int8", "uint8", "bool"})


class Emitter(Storage):
    """Holds the model that is being written, and where each value is.

    Args:
        program: The program, after the target passes.
        tables_only: Whether functions of one int8 value are looked up even where a float operator does.
    """

    rules = lowers
    types = _TYPES

    def __init__(self, program: Program, *, tables_only: bool = False) -> None:
        super().__init__(program, tables_only=tables_only)
        self._inputs: dict[str, Copy] = {}
        self._named: set[int] = set()

    # -- what the program says ----------------------------------------------------------------

    def grid(self, node: torch.fx.Node) -> QuantSpec | None:
        """Returns the int8 grid of a value, None for one that is float."""
        return activation_spec(self.program, node)

    def operand(self, node: torch.fx.Node, index: int = 0) -> Value:
        """Returns the value of the argument ``index`` of ``node``, which is a node."""
        argument: Any = node.args[index]
        return self.value(argument)

    def is_constant(self, node: torch.fx.Node) -> bool:
        """Returns whether ``node`` is a parameter, buffer or lifted constant."""
        return node.name in self.program.constants

    def is_integer(self, node: torch.fx.Node) -> bool:
        """Returns whether an integer kernel can run ``node``."""
        fits = self.is_on_grid(node) and has_kernel(self.program, node)
        return fits and integer_factor(self.program, node) < LARGEST_FACTOR

    def is_on_grid(self, node: torch.fx.Node) -> bool:
        """Returns whether all float inputs of ``node``, and what it gives, lie on a grid."""
        if gives_real_sums(self.program, node):
            return False
        kind = kernel_kind(self.program, node).kind
        on_integers = kind == "moves" and self.grid(node) is not None
        return (kind == "integer" and ops.is_float_tensor(node)) or on_integers

    # -- what the walk calls ------------------------------------------------------------------

    def write_node(self, node: torch.fx.Node) -> None:
        """Writes one call; what is emitted meanwhile is its own."""
        with self.writing(node.name):
            super().write_node(node)

    def add_input(self, node: torch.fx.Node) -> None:
        """Adds a tensor for an input that is used, in the order its first users want.

        Raises:
            NoRuleError: TFLite has no such type.
        """
        if not node.users:
            return
        shape, grid = self.shape(node), self.grid(node)
        order = input_order(node)
        kind = grid.dtype if grid is not None else self.dtype(node)
        if kind not in _TYPES:
            raise NoRuleError(f"values of type {kind} are not supported")
        tensor = self.model.tensor(node.name, orders.stored_shape(shape, order), kind, grid)
        self._inputs[node.name] = Copy(tensor, order)
        self._put(node, self._inputs[node.name])

    def constant(self, name: str) -> Value:
        """Returns the value of a constant; a tensor is made where an operator reads it."""
        content = self.program.constants[name].detach()
        return Value(
            name=name,
            shape=tuple(content.shape),
            dtype=str(content.dtype).removeprefix("torch."),
            array=content.contiguous().numpy(),
            spec=self.program.quant.get(name),
        )

    def dummy(self, node: torch.fx.Node) -> Value:
        """Returns a value in place of one that cannot be written."""
        if not hasattr(node.meta.get("val"), "shape"):
            return Value(node.name, (), "float32")
        kind, grid = self.dtype(node), self.grid(node)
        stored = grid.dtype if grid is not None else kind if kind in _TYPES else "int32"
        tensor = self.model.tensor(node.name, self.shape(node), stored, grid)
        copy = Copy(tensor, orders.identity(len(tensor.shape)))
        return Value(node.name, self.shape(node), kind, [copy])

    def runs_as(self, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
        """Returns how LiteRT runs ``node``, from the operators that were emitted for it."""
        return written_kind(self, node, kind)

    # -- inputs and outputs -------------------------------------------------------------------

    def input(self, node: torch.fx.Node) -> Copy | None:
        """Returns how an input is given, None for one that nothing reads."""
        return self._inputs.get(node.name)

    @cached_property
    def outputs(self) -> dict[str, Copy]:
        """What is returned, by the value's name."""
        return {name: self._output(self.program.node(name)) for name in self.program.output_names}

    def finish(self) -> None:
        """Writes what is returned."""
        for name in self.program.output_names:
            kind = self.dtype(self.program.node(name))
            if kind not in _TYPES:
                raise NoRuleError(f"values of type {kind} are not supported")
        _ = self.outputs

    def _output(self, node: torch.fx.Node) -> Copy:
        """Returns what is returned as the value of ``node``; an input or constant is copied."""
        value = self.value(node)
        if value.array is not None:
            # Not in halves: the runtime does not expand what is only returned.
            content = self._constant(value, value.array)
            port = Copy(content, orders.identity(len(value.shape)))
        else:
            port = value.copies[0] if value.copies else self.read(value)
        indices = {h.tensor.index for h in self._inputs.values()}
        if not port.tensor.constant and port.tensor.index not in indices:
            return port
        with self.writing(node.name):
            shape = port.tensor.shape
            copy = self.emit(
                "RESHAPE", [port.tensor, self.integers(shape)], shape, "Reshape",
                dtype=port.tensor.dtype, grid=port.tensor.grid, newShape=np.array(shape, np.int32),
            )  # fmt: skip
        return Copy(copy, port.order)

    # -- writing values -----------------------------------------------------------------------

    def write(
        self, node: torch.fx.Node, tensor: Tensor, order: Order, shape: Shape | None = None
    ) -> None:
        """Says that ``tensor`` is the value of ``node``; rounds it to the node's grid.

        Args:
            node: The node.
            tensor: What was made for it.
            order: The order of its memory.
            shape: The logical shape that ``order`` counts, where it is not the node's own.
        """
        logical = self.shape(node)
        if shape is not None and shape != logical:
            new_order = orders.reshaped(shape, order, logical)
            assert new_order is not None  # noqa: S101 (lowerings add and drop dimensions of size 1)
            order = new_order
        grid = self.grid(node)
        if grid is not None and (tensor.grid is None or not tensor.grid.same_grid(grid)):
            tensor = requantized(self, tensor, grid)
        if tensor.index not in self._named:
            self.model.rename(tensor, node.name)
            self.origins[tensor.index] = node.name
        self._put(node, Copy(tensor, order))

    def write_view(self, node: torch.fx.Node, value: Value) -> None:
        """Says that the value of ``node`` is ``value``, which other nodes made."""
        grid = self.grid(node)
        first = value.copies[0] if value.copies else self.read(value)
        stored_grid = first.tensor.grid
        if grid is not None and (stored_grid is None or not stored_grid.same_grid(grid)):
            tensor = requantized(self, first.tensor, grid)
            value = Value(node.name, value.shape, value.dtype, [Copy(tensor, first.order)])
        self._values[node.name] = replace(value, name=node.name)

    def defer(self, node: torch.fx.Node, make: Callable[[], None]) -> None:
        """Leaves ``node`` until it is read: its users may do without."""
        self._values[node.name] = Value(node.name, self.shape(node), self.dtype(node), make=make)

    def _put(self, node: torch.fx.Node, held: Copy) -> None:
        self._named.add(held.tensor.index)
        self._values[node.name] = Value(node.name, self.shape(node), self.dtype(node), [held])
