"""Functions of one int8 value, equal to the reference for each of the 256 integers.

LiteRT's integer kernels for HARD_SWISH, LEAKY_RELU and for a change of parameters (QUANTIZE from int8 to
int8) multiply by factors of 8 to 16 bits and are one step off for some of the integers, with a
bias: ten such layers move the outputs visibly. Here the function is written in float between
DEQUANTIZE and QUANTIZE, which XNNPACK runs in vectors, where no result lies so near a tie that a
runtime's last bits could turn it. Else
it is a table, read by GATHER: slower, and right by construction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from edgeopt.contracts.storage import INT8

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir import QuantSpec
    from edgeopt_tflite.flatbuffer import Tensor
    from edgeopt_tflite.storage import Storage

    Function = Callable[[torch.Tensor], torch.Tensor]
    Write = Callable[[Tensor], Tensor]

__all__ = ["exact_unary", "requantized", "tabulated"]

LAST_BITS = 16 * 2.0**-24
"""Relative error that a float kernel may have: a few units in the last place of a float32."""


def exact_unary(
    e: Storage, tensor: Tensor, result: QuantSpec, function: Function, write: Write
) -> Tensor:
    """Returns ``function`` of each element of ``tensor``, on the parameters ``result``.

    Args:
        e: The emitter.
        tensor: int8, with parameters of its own.
        result: Those of the output: one scale in all.
        function: What is computed, in torch: float32 in and out, of any shape.
        write: Emits the float operator for a float32 tensor, and returns its output.
    """
    if not e.tables_only and _rounds_alike(_values(tensor, function), result):
        e.note_exact()
        values = e.emit("DEQUANTIZE", [tensor], tensor.shape, "Dequantize")
        return e.emit("QUANTIZE", [write(values)], tensor.shape, "Quantize", grid=result)
    return tabulated(e, tensor, result, function)


def tabulated(e: Storage, tensor: Tensor, result: QuantSpec, function: Function) -> Tensor:
    """Returns ``function`` of each element of ``tensor`` from a table, on the parameters ``result``.

    Args:
        e: The emitter.
        tensor: int8, with parameters of its own.
        result: Those of the output: one scale in all.
        function: What is computed, in torch: float32 in and out, of any shape.
    """
    e.note_exact()
    return _gathered(e, tensor, result, result.quantize(_values(tensor, function)))


def requantized(e: Storage, tensor: Tensor, result: QuantSpec) -> Tensor:
    """Returns ``tensor``, float or on a grid, on the parameters ``result``."""
    wide = any(grid is not None and grid.storage != INT8 for grid in (tensor.grid, result))
    if tensor.grid is not None and wide:
        tensor = e.emit("DEQUANTIZE", [tensor], tensor.shape, "Dequantize")
    if tensor.grid is None:
        return e.emit("QUANTIZE", [tensor], tensor.shape, "Quantize", grid=result)
    return exact_unary(e, tensor, result, lambda x: x, lambda values: values)


def _values(tensor: Tensor, function: Function) -> torch.Tensor:
    """Returns ``function`` of all that an element of ``tensor`` can be, in the order of the integers."""
    assert tensor.grid is not None  # noqa: S101 (the caller looked)
    integers = torch.arange(tensor.grid.q_min, tensor.grid.q_max + 1).to(torch.int8)
    return function(tensor.grid.dequantize(integers))


def _rounds_alike(real: torch.Tensor, result: QuantSpec) -> bool:
    """Whether runtimes that err in the last bits of ``real`` all round it to the same integers."""
    steps = real.double() / float(result.scale[0])
    zero = int(result.zero_point[0])
    inside = (steps + zero > result.q_min - 1) & (steps + zero < result.q_max + 1)
    from_tie = ((steps - torch.floor(steps)) - 0.5).abs()
    return bool((from_tie > LAST_BITS * steps.abs().clamp(min=1))[inside].all())


def _gathered(e: Storage, tensor: Tensor, result: QuantSpec, table: torch.Tensor) -> Tensor:
    assert tensor.grid is not None  # noqa: S101 (the caller looked)
    first = tensor.grid.q_min
    whole = e.emit("CAST", [tensor], tensor.shape, "Cast", dtype="int32")
    offset = e.model.constant("first", np.array([-first], np.int32))
    places = e.emit("ADD", [whole, offset], tensor.shape, "Add", dtype="int32")
    rows = e.model.constant("table", table.numpy(), result)
    return e.emit(
        "GATHER", [rows, places], tensor.shape, "Gather", grid=result, axis=0, batchDims=0
    )
