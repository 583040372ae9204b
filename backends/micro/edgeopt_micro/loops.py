"""C functions of nested loops, made for the shapes at hand: what all operators without a kernel file are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeopt.ir import orders
from edgeopt_micro.calls import KernelCall
from edgeopt_micro.overlap import safe_distance
from edgeopt_micro.values import C_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgeopt_micro.values import Value

    Numbers = Mapping[str, int | float | np.ndarray]

__all__ = ["copied", "element", "may_share", "nest", "pointwise"]

_MOST_TURNS = 2**21
"""Outputs of more numbers lie apart from other inputs than those they take the place of."""


class _Axis(NamedTuple):
    """A loop: how often, and how far each operand moves with it."""

    size: int
    strides: tuple[int, ...]


def pointwise(
    output: Value,
    inputs: Sequence[Value],
    expression: Callable[..., str],
    numbers: Numbers | None = None,
    *,
    name: str = "pointwise",
    sources: tuple[str, ...] = (),
) -> KernelCall:
    """Returns a function that makes each number of ``output`` of those of ``inputs`` at its place.

    Args:
        output: What is made; inputs of fewer dimensions, or of size 1, are repeated.
        inputs: What is read.
        expression: From the C names of the inputs' stored numbers to the expression of the output's.
        numbers: Arguments that the expression names beside them.
        name: Beginning of the function's name.
        sources: Headers that the expression needs.
    """
    axes = _merged(output, inputs)
    places = [_place([axis.strides[k] for axis in axes]) for k in range(len(inputs) + 1)]
    reads = [
        f"const {value.c_type} v{k} = x{k}[{place}];"
        for k, (value, place) in enumerate(zip(inputs, places[1:], strict=True))
    ]
    names = [f"v{k}" for k in range(len(inputs))]
    body = "\n".join([*reads, f"y[{places[0]}] = {expression(*names)};"])
    text = _function(inputs, output, numbers or {}, _loops([a.size for a in axes], body))
    return KernelCall(
        name,
        fields=dict(numbers or {}),
        overlaps=_overlaps(output, inputs, axes),
        text=text,
        sources=("edgeopt_math.h", *sources),
    )


def nest(
    output: Value,
    inputs: Sequence[Value],
    body: Callable[..., str],
    numbers: Numbers | None = None,
    *,
    name: str = "nest",
    over: Sequence[int] | None = None,
) -> KernelCall:
    """Returns a function with a loop along each dimension of ``output``.

    Args:
        output: What is made.
        inputs: What is read.
        body: From the C names of the index, one a dimension of the output's shape, to statements.
        numbers: Arguments that the body names beside ``x0``, … and ``y``.
        name: Beginning of the function's name.
        over: Dimensions to loop along, all by default; the others' index is 0.
    """
    index = ["0"] * len(output.shape)
    loops = [d for d in output.order if output.shape[d] > 1 and (over is None or d in over)]
    for place, dimension in enumerate(loops):
        index[dimension] = f"i{place}"
    text = _loops([output.shape[d] for d in loops], body(*index))
    return KernelCall(
        name,
        fields=dict(numbers or {}),
        text=_function(inputs, output, numbers or {}, text),
        sources=("edgeopt_math.h",),
    )


def element(value: Value, name: str, index: Sequence[str]) -> str:
    """Returns the C expression of the stored number of ``value`` at ``index`` of its shape."""
    return f"{name}[{_place(list(value.strides), index)}]"


def copied(source: Value, output: Value) -> KernelCall:
    """Returns a function that copies ``source`` to where ``output`` has it."""
    return pointwise(output, [source], lambda x: x, name="copy")


def _parameters(inputs: Sequence[Value], output: Value, numbers: Numbers) -> str:
    """Returns the C declaration of a function's parameters."""
    pointers = [f"const {value.c_type} *x{k}" for k, value in enumerate(inputs)]
    own = [_parameter(name, value) for name, value in numbers.items()]
    return ", ".join([*pointers, f"{output.c_type} *y", *own])


def _parameter(name: str, value: float | np.ndarray) -> str:
    if isinstance(value, int):
        return f"int32_t {name}"
    if isinstance(value, float):
        return f"float {name}"
    return f"const {C_TYPES[str(value.dtype)]} *{name}"


def _function(inputs: Sequence[Value], output: Value, numbers: Numbers, body: str) -> str:
    return f"({_parameters(inputs, output, numbers)}) {{\n{body}\n}}"


def _loops(sizes: Sequence[int], body: str) -> str:
    lines = [
        f"{'  ' * (k + 1)}for (int i{k} = 0; i{k} < {size}; i{k}++) {{"
        for k, size in enumerate(sizes)
    ]
    inner = "  " * (len(sizes) + 1)
    lines += [f"{inner}{line}" for line in body.splitlines()]
    lines += [f"{'  ' * (k + 1)}}}" for k in reversed(range(len(sizes)))]
    return "\n".join(lines)


def _place(strides: Sequence[int], index: Sequence[str] | None = None) -> str:
    """Returns the sum of each index times its stride."""
    names = index if index is not None else [f"i{k}" for k in range(len(strides))]
    terms = [
        name if stride == 1 else f"{stride} * {_grouped(name)}"
        for name, stride in zip(names, strides, strict=True)
        if stride and name != "0"
    ]
    return " + ".join(terms) or "0"


def _grouped(expression: str) -> str:
    return expression if expression.isidentifier() or expression.isdigit() else f"({expression})"


def _overlaps(output: Value, inputs: Sequence[Value], axes: Sequence[_Axis]) -> dict[int, int]:
    """Returns how far before each input the output of `pointwise` must start to lie over it."""
    known: dict[int, int] = {}
    for k, value in enumerate(inputs):
        if _alike(value, output):
            known[k] = 0
        elif may_share(value, output) and output.count <= _MOST_TURNS:
            turns = [_turns(axes, operand) for operand in (0, k + 1)]
            ends, starts = (turns[0] + 1) * output.item_bytes, turns[1] * value.item_bytes
            known[k] = safe_distance(ends, starts, reads_first=True)
    return known


def _turns(axes: Sequence[_Axis], operand: int) -> np.ndarray:
    """Returns the place of an operand's number at each turn of loops."""
    places = np.zeros(1, np.int64)
    for axis in axes:
        steps = np.arange(axis.size, dtype=np.int64) * axis.strides[operand]
        places = (places[:, None] + steps).reshape(-1)
    return places


def may_share(value: Value, output: Value) -> bool:
    """Returns whether C lets loops read and write the same memory as both: of one type, or bytes.

    Compilers take memory of other types for apart, and may move a read behind a write.
    """
    return value.c_type == output.c_type or 1 in (value.item_bytes, output.item_bytes)


def _alike(value: Value, output: Value) -> bool:
    return (
        value.shape == output.shape
        and value.c_type == output.c_type
        and orders.same_memory(value.shape, value.order, output.order)
    )


def _merged(output: Value, inputs: Sequence[Value]) -> list[_Axis]:
    """Returns the loops over the output's memory, neighbours joined where all operands allow it."""
    operands = [output.strides, *(_repeated(value, output.shape) for value in inputs)]
    axes: list[_Axis] = []
    for d in output.order:
        size = output.shape[d]
        if size == 1:
            continue
        axis = _Axis(size, tuple(strides[d] for strides in operands))
        if axes and all(a == b * size for a, b in zip(axes[-1].strides, axis.strides, strict=True)):
            axis = _Axis(axes.pop().size * size, axis.strides)
        axes.append(axis)
    return axes


def _repeated(value: Value, shape: Sequence[int]) -> tuple[int, ...]:
    """Returns the strides of ``value`` along the dimensions of ``shape``, 0 where it is repeated."""
    missing = len(shape) - len(value.shape)
    own = [0 if n == 1 else s for n, s in zip(value.shape, value.strides, strict=True)]
    return (*[0] * missing, *own)
