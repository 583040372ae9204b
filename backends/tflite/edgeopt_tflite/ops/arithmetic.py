"""Functions of two values, element by element, that broadcast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from ai_edge_litert.schema_py_generated import ActivationFunctionType

from edgeopt.ir import orders
from edgeopt.ir.ops import is_float_tensor
from edgeopt_tflite.operator_rules import lowers
from edgeopt_tflite.ops.common import aligned, cast, fusion_of, limited

if TYPE_CHECKING:
    from edgeopt_tflite.emitter import Emitter

__all__: list[str] = []

aten = torch.ops.aten

_INTEGER: dict[Any, tuple[str, str]] = {
    aten.add.Tensor: ("ADD", "Add"),
    aten.sub.Tensor: ("SUB", "Sub"),
    aten.mul.Tensor: ("MUL", "Mul"),
}
_FLOAT: dict[Any, tuple[str, str]] = {
    aten.div.Tensor: ("DIV", "Div"),
    aten.maximum.default: ("MAXIMUM", "MaximumMinimum"),
    aten.minimum.default: ("MINIMUM", "MaximumMinimum"),
    aten.pow.Tensor_Tensor: ("POW", "Pow"),
    aten.pow.Tensor_Scalar: ("POW", "Pow"),
    aten.pow.Scalar: ("POW", "Pow"),
    aten.remainder.Tensor: ("FLOOR_MOD", "FloorMod"),
    aten.remainder.Scalar: ("FLOOR_MOD", "FloorMod"),
}


def _check(_: Emitter, node: torch.fx.Node) -> str:
    alpha = node.kwargs.get("alpha", 1)
    if alpha != 1:
        return f"alpha is {alpha}; run the core passes first"
    return f"rounding_mode {mode!r}" if (mode := node.kwargs.get("rounding_mode")) else ""


@lowers(*_INTEGER, refusal=_check)
def _with_integer_kernel(e: Emitter, node: torch.fx.Node) -> None:
    # A mask or a count beside a value has no quantization parameters: then both are read as float.
    integer = e.is_integer(node) and all(is_float_tensor(value) for value in node.args[:2])
    fusion = fusion_of(e, node, integer=integer)
    code, options = _INTEGER[node.target]
    shape, dtype = e.shape(node), e.dtype(node)
    tensors, order = aligned(e, node.args[:2], shape, integer=integer, dtype=dtype)
    if not integer:
        tensors = [cast(e, t, dtype) for t in tensors]
    output = e.emit(
        code, tensors, orders.stored_shape(shape, order), options,
        dtype=dtype, grid=e.grid(fusion.result) if integer else None,
        fusedActivationFunction=fusion.code,
    )  # fmt: skip
    e.write(fusion.result, limited(e, output, fusion.limits), order)


@lowers(*_FLOAT, refusal=_check)
def _float_only(e: Emitter, node: torch.fx.Node) -> None:
    code, options = _FLOAT[node.target]
    shape, dtype = e.shape(node), e.dtype(node)
    tensors, order = aligned(e, node.args[:2], shape, dtype=dtype)
    tensors = [cast(e, t, dtype) for t in tensors]
    fused: dict[str, Any] = (
        {"fusedActivationFunction": ActivationFunctionType.NONE} if code == "DIV" else {}
    )
    output = e.emit(code, tensors, orders.stored_shape(shape, order), options, dtype=dtype, **fused)
    e.write(node, output, order)


def _unlike(e: Emitter, node: torch.fx.Node) -> str:
    unlike = e.shape(node.args[0]) != e.shape(node.args[1])
    return "TFLite's ATAN2 does not broadcast" if unlike else ""


@lowers(aten.atan2.default, refusal=_unlike)
def _angle(e: Emitter, node: torch.fx.Node) -> None:
    shape = e.shape(node)
    tensors, order = aligned(e, node.args[:2], shape, dtype=e.dtype(node))
    tensors = [cast(e, t, "float32") for t in tensors]
    e.write(node, e.emit("ATAN2", tensors, orders.stored_shape(shape, order)), order)
