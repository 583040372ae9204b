"""Weights and other constants as OpenVINO operators, stored as the program stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import openvino as ov
import openvino.opset13 as op
import torch

from edgeopt.contracts.storage import INT4, INT16, INT32
from edgeopt.lowering import NoRuleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.ir import Program, QuantSpec

__all__ = ["array", "by_groups", "constant", "element_type", "numbers"]

View: TypeAlias = "Callable[[np.ndarray], np.ndarray]"
"""What reorders a constant's axes."""

_TYPES = {
    torch.float32: ov.Type.f32,
    torch.float16: ov.Type.f16,
    torch.float64: ov.Type.f64,
    torch.bfloat16: ov.Type.bf16,
    torch.int64: ov.Type.i64,
    torch.int32: ov.Type.i32,
    torch.int16: ov.Type.i16,
    torch.int8: ov.Type.i8,
    torch.uint8: ov.Type.u8,
    torch.bool: ov.Type.boolean,
}


def element_type(dtype: torch.dtype) -> ov.Type:
    """Returns OpenVINO's name of ``dtype``.

    Raises:
        NoRuleError: It has none.
    """
    if dtype not in _TYPES:
        raise NoRuleError(f"OpenVINO has no type {dtype}")
    return _TYPES[dtype]


def numbers(values: Any) -> Any:
    """Returns axes, sizes or pads as an i64 constant."""
    return op.constant(np.asarray(values, dtype=np.int64))


def array(tensor: torch.Tensor) -> np.ndarray:
    """Returns a contiguous numpy array of ``tensor``."""
    values: np.ndarray = tensor.detach().cpu().contiguous().numpy()
    return values


def constant(program: Program, name: str, view: View | None = None, *, folded: bool = False) -> Any:
    """Returns the real values of a constant: integers times scales where it has a grid.

    Args:
        program: Where it is held.
        name: Its name.
        view: Applied to its array, and to its scales spread over as many axes.
        folded: Whether the runtime must compute it when it is loaded, for a kernel that takes real numbers only.
    """
    tensor, spec = program.constants[name], program.quant.get(name)
    view = view or _as_it_is
    if spec is None or spec.storage in (INT32, INT16):
        return _named(op.constant(view(array(tensor))), name)
    if spec.storage.floating:
        stored = _named(op.constant(view(array(spec.quantize(tensor)))), f"{name}.stored")
        return _named(op.convert(stored, element_type(tensor.dtype)), name)
    if spec.storage.is_packed:
        return _unpacked(tensor, spec, name)
    return _dequantized(tensor, spec, name, view, folded=folded)


def by_groups(groups: int) -> View:
    """Returns the view that gives a grouped convolution's weight an axis for its groups."""

    def view(values: np.ndarray) -> np.ndarray:
        first, *rest = values.shape
        lead = (1, first) if first % groups else (groups, first // groups)
        return values.reshape(*lead, *rest)

    return view


def _as_it_is(values: np.ndarray) -> np.ndarray:
    return values


def _dequantized(
    tensor: torch.Tensor, spec: QuantSpec, name: str, view: View, *, folded: bool
) -> Any:
    """Writes integers - zero point, times scale, in the form that becomes integer kernels.

    A detour over int32 is not that form: in a quantized model too the runtime then folds all of it.
    """
    integers = view(array(spec.quantize(tensor)))
    scale, zero = (view(_spread(t, spec, tensor.ndim)) for t in (spec.scale, spec.zero_point))
    value = _named(op.constant(integers), f"{name}.integers")
    value = op.convert(op.convert(value, ov.Type.i32) if folded else value, ov.Type.f32)
    if zero.any():
        value = op.subtract(value, op.constant(zero.astype(np.float32)))
    scales = _named(op.constant(scale.astype(np.float32)), f"{name}.scale")
    return _named(op.multiply(value, scales), name)


def _unpacked(tensor: torch.Tensor, spec: QuantSpec, name: str) -> Any:
    """Writes a matrix of few bits as the runtime's own weight compression does: it unpacks it within its kernels.

    That is two integers a byte, of 2 and 3 bits too: rows in groups, times their scales, and rows again. With zero
    points they are unsigned, without signed.
    """
    rows, columns = tensor.shape
    shape = (rows, -1, spec.group or columns)
    whole = array(spec.quantize(tensor)).reshape(shape)
    zero = array(spec.zero_point).reshape(rows, -1, 1)
    if zero.any():
        value = op.convert(_of_four_bits(whole - INT4.lowest, f"{name}.integers"), ov.Type.f32)
        zeros = _of_four_bits(zero - INT4.lowest, f"{name}.zeros")
        value = op.subtract(value, op.convert(zeros, ov.Type.f32))
    else:
        stored = op.constant(np.ascontiguousarray(whole), ov.Type.i4)
        value = op.convert(_named(stored, f"{name}.integers"), ov.Type.f32)
    scales = _named(op.constant(array(spec.scale).reshape(rows, -1, 1)), f"{name}.scale")
    product = op.multiply(value, scales)
    return _named(op.reshape(product, numbers([rows, columns]), special_zero=False), name)


def _of_four_bits(values: np.ndarray, name: str) -> Any:
    return _named(op.constant(values.astype(np.uint8), ov.Type.u4), name)


def _spread(values: torch.Tensor, spec: QuantSpec, rank: int) -> np.ndarray:
    shape = [1] * rank
    if spec.axis is not None:
        shape[spec.axis] = -1
    return array(values).reshape(shape)


def _named(node: Any, name: str) -> Any:
    node.set_friendly_name(name)
    return node.output(0)
