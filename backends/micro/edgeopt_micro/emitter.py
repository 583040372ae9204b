"""Writes a program as calls of C functions, one a node, on values whose memory views share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from edgeopt.contracts.storage import INT8
from edgeopt.ir import KernelKind, gives_real_sums, orders
from edgeopt.ir.operators import traits_of
from edgeopt.lowering import Emitter as WalkingEmitter
from edgeopt.lowering import NoRuleError
from edgeopt_micro.core import core_of
from edgeopt_micro.fitting import fitted_to
from edgeopt_micro.loops import copied, pointwise
from edgeopt_micro.operator_rules import rule
from edgeopt_micro.scalars import real, stored
from edgeopt_micro.values import C_TYPES, Buffer, Value, grid_of, requantized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt.contracts import Target
    from edgeopt.ir import Program
    from edgeopt.ir.orders import Order
    from edgeopt_micro.calls import KernelCall
    from edgeopt_micro.footprint import Sections
    from edgeopt_micro.memory import MemoryPlan
    from edgeopt_micro.values import Grid

__all__ = ["Emitter", "Step"]


@dataclass(frozen=True)
class Step:
    """One call: what it reads, and what it makes.

    Attributes:
        name: Of the value that it makes.
        call: The function and its constants.
        inputs: What it reads, in the function's order.
        output: What it writes.
    """

    name: str
    call: KernelCall
    inputs: tuple[Value, ...]
    output: Value


class Emitter(WalkingEmitter):
    """Calls in the order of the program.

    Args:
        program: In canonical form.
        target: What it is written for.

    Attributes:
        core: Its core.
        steps: The calls so far.
        inputs: The program's inputs, as the caller gives them.
        outputs: Its outputs, as the caller gets them; after the run.
        parts: Values of operators that make several.
        linked: What it takes of flash; None before it is compiled.
        notes: What was done to make it fit; after the plan.
    """

    rules = rule
    types = frozenset(C_TYPES)

    def __init__(self, program: Program, target: Target) -> None:
        super().__init__(program)
        self.core = core_of(target)
        self.target = target
        self.steps: list[Step] = []
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.parts: dict[str, list[Value]] = {}
        self.linked: Sections | None = None
        self.notes: tuple[str, ...] = ()
        self._unfitted: list[Step] = []
        micro = target.microcontroller
        self._limit = None if micro is None else 1024 * micro.arena_kb

    # -- the walk -------------------------------------------------------------------------------

    def add_input(self, node: torch.fx.Node) -> Value:
        """Returns an input: on its grid where it has one, pictures with their channels last."""
        value = self._described(node, self._input_order(node))
        self.inputs.append(
            replace(
                value,
                buffer=Buffer("input", value.size_bytes, node.name, number=len(self.inputs)),
            )
        )
        return self.inputs[-1]

    def constant(self, name: str) -> Value:
        """Returns a constant; one that nobody reads as a value never becomes an array in the source."""
        tensor, spec = self.program.constants[name].detach(), self.program.quant.get(name)
        grid = grid_of(spec)
        if grid is not None and spec is not None:
            array = spec.quantize(tensor).numpy()
        elif tensor.dtype is torch.float64:
            array = tensor.float().numpy()
        else:
            array = tensor.numpy()
        return self.array_value(name, np.ascontiguousarray(array), grid)

    def array_value(self, name: str, array: np.ndarray, grid: Any = None) -> Value:
        """Returns a constant of its own with the content ``array``."""
        if str(array.dtype) not in C_TYPES:
            raise NoRuleError(f"a constant of {array.dtype}")
        buffer = Buffer("constant", array.nbytes, name, array)
        return Value(buffer, array.shape, orders.identity(array.ndim), str(array.dtype), grid)

    def dummy(self, node: torch.fx.Node) -> Value:
        """Returns a value in place of one that cannot be written."""
        value = node.meta["val"]
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else (1,)
        order, grid = orders.identity(len(shape)), grid_of(self.program.quant.get(node.name))
        dtype = "float32" if grid is None else INT8.name
        return Value(Buffer("arena", 0, node.name), shape, order, dtype, grid)

    def runs_as(self, node: torch.fx.Node, kind: KernelKind) -> KernelKind:
        """Returns how ``node`` runs: as the core says, but where an integer kernel would write real numbers."""
        if gives_real_sums(self.program, node):
            return KernelKind("float", "its integer kernels write integers only")
        return kind

    def finish(self) -> None:
        """Has each output written where the caller wants it."""
        roots = set()
        for number, name in enumerate(self.program.output_names):
            value = self.value(self.program.node(name))
            buffer = value.buffer
            if buffer.kind != "arena" or buffer in roots or buffer.size_bytes != value.size_bytes:
                value = self.copy(name, value)
                buffer = value.buffer
            buffer.kind, buffer.number = "output", number
            roots.add(buffer)
            self.outputs.append(value)

    def fit(self, arena_bytes: int) -> None:
        """Has the arena take ``arena_bytes`` at most, if it can: layers are then executed by stripes."""
        if arena_bytes != self._limit:
            self._limit = arena_bytes
            self.__dict__.pop("plan", None)

    @cached_property
    def plan(self) -> MemoryPlan:
        """Where all values lie, once everything is written; before it is asked for, ``steps`` are not final."""
        self._unfitted = self._unfitted or self.steps
        fitted = fitted_to(self._unfitted, self.inputs, self.outputs, self._limit)
        self.steps, self.notes = fitted.steps, fitted.notes
        return fitted.plan

    # -- for rules ------------------------------------------------------------------------------

    def described(self, node: torch.fx.Node, order: Order | None = None) -> Value:
        """Returns a new value in the arena for what ``node`` makes, on its grid."""
        value = self._described(node, order)
        return replace(value, buffer=Buffer("arena", value.size_bytes, node.name))

    def call(self, call: KernelCall, inputs: Sequence[Value], output: Value) -> Value:
        """Adds a call and returns its output."""
        self.steps.append(Step(output.buffer.name, call, tuple(inputs), output))
        return output

    def view(self, node: torch.fx.Node, source: Value, order: Order) -> Value:
        """Returns the memory of ``source`` as the value of ``node``; a copy where that has another grid."""
        viewed = replace(source, shape=self.shape(node), order=order)
        return self.regridded(viewed, self._described(node, order))

    def regridded(self, value: Value, like: Value) -> Value:
        """Returns ``value`` on the grid of ``like``: itself, or a copy whose numbers are rounded to it."""
        if value.grid == like.grid and value.dtype == like.dtype:
            return value
        if value.grid is not None and like.grid is not None:
            return self._moved_to(value, value.grid, like.grid)
        if not self.core.fpu:
            raise NoRuleError(
                f"onto another grid, and {self.target.cpu.model} has no float instructions"
            )
        output = replace(
            value,
            buffer=Buffer("arena", replace(value, dtype=like.dtype).size_bytes, like.buffer.name),
            dtype=like.dtype,
            grid=like.grid,
        )
        call = pointwise(output, [value], lambda a: stored(output, real(value, a)), name="regrid")
        return self.call(call, [value], output)

    def _moved_to(self, value: Value, grid: Grid, goal: Grid) -> Value:
        """Returns int8 numbers on another grid: each integer has one on the other, so by a table."""
        table = requantized(np.arange(INT8.lowest, INT8.highest + 1), grid, goal)
        if value.buffer.array is not None:
            moved = self.array_value(
                value.buffer.name, table[value.buffer.array - INT8.lowest], goal
            )
            return replace(moved, shape=value.shape, order=value.order)
        name, size = value.buffer.name, value.size_bytes
        output = replace(value, buffer=Buffer("arena", size, name), grid=goal)
        call = pointwise(
            output, [value], lambda a: f"table[{a} + 128]", {"table": table}, name="table"
        )
        return self.call(call, [value], output)

    def in_order(self, value: Value, order: Order) -> Value:
        """Returns ``value`` with its memory in ``order``, copied where it is in another."""
        if orders.same_memory(value.shape, value.order, order):
            return replace(value, order=order)
        if value.buffer.array is not None:
            stored = value.buffer.array.reshape(orders.stored_shape(value.shape, value.order))
            axes = [value.order.index(d) for d in order]
            moved = np.ascontiguousarray(stored.transpose(axes))
            return replace(
                self.array_value(value.buffer.name, moved, value.grid),
                shape=value.shape,
                order=order,
            )
        return self.copy(value.buffer.name, value, order)

    def plain(self, value: Value) -> Value:
        """Returns ``value`` with its memory in the order of its shape."""
        return self.in_order(value, orders.identity(len(value.shape)))

    def copy(self, name: str, value: Value, order: Order | None = None) -> Value:
        """Returns a copy of ``value`` in memory of its own."""
        output = replace(
            value,
            order=value.order if order is None else order,
            buffer=Buffer("arena", value.size_bytes, name),
        )
        return self.call(copied(value, output), [value], output)

    def fuse(self, activation: torch.fx.Node, value: Value) -> None:
        """Says that ``value`` is what the activation makes, which the kernel before it applied."""
        self._values[activation.name] = value

    # -- within ---------------------------------------------------------------------------------

    def _described(self, node: torch.fx.Node, order: Order | None) -> Value:
        grid = grid_of(self.program.quant.get(node.name))
        shape = self.shape(node)
        return Value(
            Buffer("arena", 0, node.name),
            shape,
            orders.identity(len(shape)) if order is None else order,
            "int8" if grid is not None else _stored(self.dtype(node)),
            grid,
        )

    def _input_order(self, node: torch.fx.Node) -> Order:
        rank = len(self.shape(node))
        layouts = [traits_of(user).layout for user in node.users]
        last = rank > 2 and "channels-last" in layouts  # noqa: PLR2004 (batch, channels, more)
        return orders.channels_last(rank) if last else orders.identity(rank)


def _stored(dtype: str) -> str:
    if dtype not in C_TYPES:
        raise NoRuleError(f"values of type {dtype} are not supported")
    return dtype
