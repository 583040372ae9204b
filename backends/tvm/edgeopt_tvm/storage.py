"""Where values are: in memory orders, on grids; what reads and writes them in expressions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tvm import relax, te

from edgeopt.ir import orders
from edgeopt.lowering import Emitter, NoRuleError
from edgeopt_tvm import scalars
from edgeopt_tvm.parameters import parameters_of
from edgeopt_tvm.values import Copy, Value, constant_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import torch

    from edgeopt.ir import Program
    from edgeopt.ir.orders import Order
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.parameters import Grid

__all__ = ["Builder", "Operand", "Storage"]


Pattern = Literal["elementwise", "broadcast", "apart"]
"""Whether each number is made of those at the same place, of repeated ones too, or of any."""

_PATTERNS: dict[Pattern, int] = {"elementwise": 0, "broadcast": 1, "apart": 8}
"""TVM's ``OpPatternKind``."""


class Builder(relax.BlockBuilder):  # type: ignore[misc]  # its package has no types
    """A block builder that names what it emits after the node that is being written."""

    origin = "value"

    def emit(self, expr: Any, name_hint: str = "") -> Any:
        """Returns the variable bound to ``expr``."""
        return super().emit(expr, name_hint or f"{self.origin}__")


class Operand:
    """A value as an expression reads it.

    Args:
        held: Where it is; its memory has the shape of its order.
        convert: From what is stored to what the expression computes with.
    """

    def __init__(self, held: Copy, convert: Callable[[Any], Any]) -> None:
        self.held, self.expr, self.order = held, held.expr, held.order
        self._convert = convert

    def at(self, tensor: te.Tensor, index: Sequence[Any]) -> Any:
        """Returns the number at ``index``, which counts the value's own dimensions."""
        return self._convert(tensor(*(index[d] for d in self.order)))

    def stored(self, tensor: te.Tensor, *index: Any) -> Any:
        """Returns the number at ``index`` of the memory."""
        return self._convert(tensor(*index))


class Storage(Emitter):
    """Holds what is known of each value, and moves values between orders and grids.

    Attributes:
        machine: What it is written for.
        builder: Where it is written.
    """

    def __init__(self, program: Program, machine: Machine) -> None:
        super().__init__(program)
        self.machine = machine
        self.builder = Builder()
        self._parts: dict[str, list[Value]] = {}
        self._roots: dict[str, Any] = {}
        self._inputs: list[Any] = []

    # -- what the program says ------------------------------------------------------------------

    def grid(self, node: Any) -> Grid | None:
        """Returns the grid of a node's value, None where it has none."""
        if node.name in self.program.constants:
            return None
        return parameters_of(self.program.quant.get(node.name), self.machine)

    def value(self, node: Any) -> Value:
        """Returns the value of a node."""
        value: Value = super().value(node)
        return value

    def parts(self, node: Any) -> list[Value]:
        """Returns the values of a node that makes several."""
        return self._parts[node.name]

    def inputs(self) -> list[Any]:
        """Returns the variables of the program's inputs."""
        return self._inputs

    def constant(self, name: str) -> Value:
        """Returns the value of a constant; it is stored where an expression reads it."""
        tensor = self.program.constants[name].detach()
        kind = str(tensor.dtype).removeprefix("torch.")
        return Value(name, tuple(tensor.shape), kind, array=tensor.contiguous().numpy())

    # -- putting values -------------------------------------------------------------------------

    def put_input(self, node: torch.fx.Node, expr: Any) -> None:
        """Says that ``expr`` is what is given for an input."""
        self._inputs.append(expr)
        storage = Copy(expr, orders.identity(len(self.shape(node))))
        value = Value(node.name, self.shape(node), self.dtype(node), self.grid(node))
        if value.grid is None:
            value.copies.append(storage)
        else:
            value.source = storage
        self._values[node.name] = value

    def put(
        self, node: Any, expr: Any, order: Order | None = None, grid: Grid | None = None
    ) -> None:
        """Says that ``expr`` is the value of ``node``; puts it on the node's grid if it is not.

        Args:
            node: The node.
            expr: What was made for it.
            order: The order of its memory; the program's by default.
            grid: What its integers stand for.

        Raises:
            NoRuleError: ``expr`` is of another type than the value.
        """
        if grid is None:
            _require_type(expr, self.dtype(node))
        storage = Copy(expr, order or orders.identity(len(self.shape(node))), grid)
        node_grid = self.grid(node)
        value = Value(node.name, self.shape(node), self.dtype(node), node_grid, [storage])
        if grid != node_grid:
            value.copies = [self._moved(value, storage, storage.order, node_grid)]
        self._values[node.name] = value

    def put_value(self, node: Any, value: Value) -> None:
        """Says that the value of ``node`` is one that other nodes made, perhaps on its own grid."""
        node_grid = self.grid(node)
        if value.grid != node_grid:
            first = self.read(value, real=node_grid is None)
            self.put(node, first.expr, first.order, first.grid)
            return
        self._values[node.name] = replace(value, name=node.name)

    def put_parts(self, node: Any, exprs: Iterable[Any]) -> None:
        """Says that ``exprs`` are the values of a node that makes several, in the program's order."""
        values = []
        for expr, example in zip(exprs, node.meta["val"], strict=True):
            shape = tuple(int(d) for d in example.shape)
            kind = str(example.dtype).removeprefix("torch.")
            _require_type(expr, kind)
            values.append(
                Value(node.name, shape, kind, copies=[Copy(expr, orders.identity(len(shape)))])
            )
        self._parts[node.name] = values
        self._values[node.name] = Value(node.name, (), "float32")

    # -- reading values -------------------------------------------------------------------------

    def read(self, value: Value, order: Order | None = None, *, real: bool = False) -> Copy:
        """Returns where ``value`` is: in ``order``, or in any; its memory has the shape of that.

        Args:
            value: The value.
            order: The order that is needed; by default one that it has.
            real: Whether real numbers are needed, not integers of a grid.
        """
        grid = None if real else value.grid
        if value.array is not None:
            return self._stored_constant(value, order or orders.identity(len(value.shape)))
        fitting = [h for h in value.copies if h.grid == grid and self._fits(value, h, order)]
        if fitting:
            storage = fitting[0]
        else:
            source = self._nearest(value, order)
            storage = self._moved(value, source, order or source.order, grid)
            value.copies.append(storage)
        order = order or storage.order
        return Copy(self.shaped(storage.expr, orders.stored_shape(value.shape, order)), order, grid)

    def has(self, value: Value, order: Order) -> bool:
        """Returns whether ``value`` lies in memory in ``order`` already, as `read` would give it."""
        fitting = (h for h in value.copies if self._fits(value, h, order))
        return any(h.grid == value.grid for h in fitting)

    def _fits(self, value: Value, held: Copy, order: Order | None) -> bool:
        return order is None or orders.same_memory(value.shape, held.order, order)

    def _nearest(self, value: Value, order: Order | None) -> Copy:
        """Returns what to make another form of ``value`` from."""
        if not value.copies:
            assert value.source is not None  # noqa: S101 (an input has one)
            first = self._moved(value, value.source, order or value.source.order, value.grid)
            value.copies.append(first)
        return next((h for h in value.copies if self._fits(value, h, order)), value.copies[0])

    def _moved(self, value: Value, held: Copy, order: Order, grid: Grid | None) -> Copy:
        """Writes the value of ``held`` in another order, on another grid."""
        if held.grid == grid and orders.same_memory(value.shape, held.order, order):
            return Copy(held.expr, order, grid)
        source = self.shaped(held.expr, orders.stored_shape(value.shape, held.order))
        shape = orders.stored_shape(value.shape, order)
        place = {d: i for i, d in enumerate(order)}

        def compute(tensor: te.Tensor) -> te.Tensor:
            return te.compute(
                shape,
                lambda *i: scalars.converted(
                    tensor(*(i[place[d]] for d in held.order)), held.grid, grid, value.dtype
                ),
                name="moved",
            )

        if held.order == order:
            return Copy(self.te("convert", compute, source, pattern="elementwise"), order, grid)
        return Copy(self.te("transpose", compute, source), order, grid)

    def _stored_constant(self, value: Value, order: Order) -> Copy:
        assert value.array is not None  # noqa: S101 (the caller asked)
        array = np.ascontiguousarray(value.array.transpose(order))
        spec = self.program.quant.get(value.name)
        if spec is not None and spec.storage.floating and value.dtype == "float32":
            array = array.astype(np.float16)
        return Copy(constant_of(array), order)

    def operand(
        self, value: Value, order: Order | None = None, *, dtype: str = "", apart: bool = False
    ) -> Operand:
        """Returns ``value`` for an expression, which reads real numbers of it.

        Args:
            value: The value.
            order: The order of memory that is needed; by default one that it has.
            dtype: What to compute with; the value's own by default.
            apart: Whether products must not be joined with a sum (see `scalars.real`).
        """
        storage = self.read(value, order)
        kind = dtype or value.dtype

        def convert(x: Any) -> Any:
            if storage.grid is not None:
                return scalars.widened(scalars.real(x, storage.grid, apart=apart), kind)
            return scalars.widened(x, kind)

        return Operand(storage, convert)

    # -- writing expressions --------------------------------------------------------------------

    def te(
        self, name: str, compute: Callable[..., te.Tensor], *exprs: Any, pattern: Pattern = "apart"
    ) -> Any:
        """Returns the variable of a tensor expression.

        Args:
            name: Of its kernel.
            compute: From tensors to a tensor.
            *exprs: What the tensors are.
            pattern: How fusion may treat it. (What TVM finds out by itself takes a pad at the end
                of an axis for element-wise, and joins it to the convolution before it.)
        """
        attributes = {"op_pattern": _PATTERNS[pattern]}
        return self.builder.emit_te(
            compute, *exprs, primfunc_name_hint=name, primfunc_attrs=attributes
        )

    def shaped(self, expr: Any, shape: Sequence[int]) -> Any:
        """Returns the same memory in another shape, for nothing."""
        shape = tuple(shape)
        if tuple(int(d) for d in expr.ty.shape) == shape:
            return expr
        if isinstance(expr, relax.Constant):
            return constant_of(expr.data.numpy().reshape(shape))
        view = self.builder.emit(relax.op.reshape(self.root(expr), shape))
        self._roots[view.name] = self.root(expr)
        return view

    def root(self, expr: Any) -> Any:
        """Returns the variable whose memory ``expr`` is."""
        return self._roots.get(expr.name, expr)

    def copied(self, expr: Any) -> Any:
        """Returns memory of its own with the same content."""
        shape = tuple(int(d) for d in expr.ty.shape)
        source = self.shaped(expr, shape or (1,))
        copy = self.te("copy", lambda t: te.compute(t.shape, t, name="copied"), source)
        return self.shaped(copy, shape)

    def size(self, shape: Sequence[int]) -> int:
        """Returns the number of elements."""
        return math.prod(shape)


def _require_type(expr: Any, kind: str) -> None:
    """Checks that what was made has the type of the value that it stands for.

    Raises:
        NoRuleError: It has another.
    """
    if str(expr.ty.dtype) != kind:
        raise NoRuleError(f"TVM makes {expr.ty.dtype} of it, torch {kind}")
