"""Versions of operators: what a runtime must know to run them.

Source: TensorFlow Lite's `tools/versioning/op_version.cc` and `runtime_version.cc`. A runtime
refuses an operator of a version above its own, in place of computing something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import FLOAT16, INT4, INT8, INT16

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgeopt_tflite.flatbuffer import Tensor

    Options = dict[str, Any]

__all__ = ["oldest_runtime", "operator_version"]

_FEW_DIMENSIONS = 4
"""Operators that took at most so many dimensions at first have a version for more."""

_TWO_FOR_INT8 = frozenset(
    {
        "ABS", "ADD", "ARG_MAX", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "EQUAL",
        "GATHER", "GELU", "GREATER", "LESS", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D",
        "MEAN", "MINIMUM", "PAD", "PADV2", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6",
        "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX",
        "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE",
    }
)  # fmt: skip
_WIDE = {
    "DIV": 2, "MAXIMUM": 3, "MINIMUM": 3, "PAD": 4, "PADV2": 4, "SLICE": 5, "STRIDED_SLICE": 4,
    "SUB": 3, "TRANSPOSE": 4,
}  # fmt: skip
_INT64 = {"ADD": 4, "SUB": 4}
_INT16 = {
    "CONCATENATION": 3, "GATHER": 4, "MAXIMUM": 4, "MAX_POOL_2D": 3, "MINIMUM": 4, "PAD": 3, "PADV2": 3,
    "QUANTIZE": 3, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4, "REVERSE_V2": 3, "SLICE": 4,
    "STRIDED_SLICE": 4, "TRANSPOSE": 5,
}  # fmt: skip
_DEPTHWISE = {INT8.name: 3, INT16.name: 5}
_FIRST = "2.3.0"
_SINCE = {
    ("ADD", 4): "2.6.0",
    ("ATAN2", 1): "2.10.0",
    ("BROADCAST_TO", 2): "2.5.0",
    ("BROADCAST_TO", 3): "2.5.0",
    ("CONV_2D", 5): "2.4.0",
    ("CONV_2D", 6): "2.9.0",
    ("DEQUANTIZE", 5): "2.7.0",
    ("DYNAMIC_UPDATE_SLICE", 1): "2.9.0",
    ("FULLY_CONNECTED", 12): "2.17.0",
    ("GELU", 1): "2.10.0",
    ("GELU", 2): "2.10.0",
    ("MUL", 5): "2.6.0",
    ("PAD", 4): "2.6.0",
    ("PADV2", 4): "2.6.0",
    ("SIGN", 1): "2.12.0",
    ("SLICE", 5): "2.5.0",
    ("SUB", 4): "2.4.0",
}
"""The first release that has a version, where it is later than `_FIRST`."""


def operator_version(
    code: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], options: Options
) -> int:
    """Returns the version of an operator.

    Args:
        code: Its name in ``BuiltinOperator``.
        inputs: What it takes.
        outputs: What it gives.
        options: Its options.
    """
    if code in _SPECIAL:
        return _SPECIAL[code](inputs, outputs, options)
    version = 2 if code in _TWO_FOR_INT8 and inputs[0].dtype == INT8.name else 1
    if inputs and inputs[0].dtype == INT16.name:
        version = _INT16.get(code, 1)
    if max((len(t.shape) for t in inputs), default=0) > _FEW_DIMENSIONS:
        version = max(version, _WIDE.get(code, 1))
    if inputs and inputs[0].dtype == "int64":
        version = max(version, _INT64.get(code, 1))
    if options.get("halfPixelCenters") or options.get("alignCorners"):
        version = 3
    return version


def oldest_runtime(operators: Iterable[tuple[str, int]]) -> str:
    """Returns the first release that runs all of ``operators`` (name and version)."""
    needed = [_SINCE.get(operator, _FIRST) for operator in operators]
    return max(needed, default=_FIRST, key=lambda v: [int(part) for part in v.split(".")])


def _convolution(inputs: Sequence[Tensor], _: Sequence[Tensor], __: Options) -> int:
    if inputs[0].shape[-1] != inputs[1].shape[-1]:
        return 6  # in groups
    if inputs[0].dtype == INT16.name:
        return 4
    return 3 if inputs[0].dtype == INT8.name else 1


def _depthwise(inputs: Sequence[Tensor], _: Sequence[Tensor], options: Options) -> int:
    if inputs[0].dtype in _DEPTHWISE:
        return _DEPTHWISE[inputs[0].dtype]
    return 2 if options["dilationWFactor"] != 1 or options["dilationHFactor"] != 1 else 1


def _fully_connected(inputs: Sequence[Tensor], _: Sequence[Tensor], options: Options) -> int:
    if inputs[0].dtype == "float32" and inputs[1].dtype in {INT4.name, INT8.name}:
        return 12
    if inputs[0].dtype == INT16.name:
        return 7
    if options.get("keepNumDims"):
        return 5
    return 4 if inputs[0].dtype == INT8.name else 1


def _dequantize(inputs: Sequence[Tensor], _: Sequence[Tensor], __: Options) -> int:
    if inputs[0].dtype in {FLOAT16.name, INT16.name}:
        return 3
    grid = inputs[0].grid
    return 5 if grid is not None and grid.axis is not None else 2


def _multiply(inputs: Sequence[Tensor], outputs: Sequence[Tensor], _: Options) -> int:
    if inputs[0].dtype == "int64":
        return 5
    grids = [t.grid for t in (*inputs, *outputs)]
    if inputs[0].dtype != INT8.name or None in grids:
        return 1
    a, b, c = (float(grid.scale[0]) for grid in grids if grid is not None)
    return 3 if a * b >= c else 2


_SPECIAL: dict[str, Callable[[Sequence[Tensor], Sequence[Tensor], Options], int]] = {
    "BROADCAST_TO": lambda inputs, _, __: 3 if inputs[0].dtype == INT8.name else 2,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _dequantize,
    "FULLY_CONNECTED": _fully_connected,
    "MUL": _multiply,
    "REVERSE_V2": lambda inputs, _, __: {"int8": 3, "bool": 2}.get(inputs[0].dtype, 1),
    "TRANSPOSE_CONV": lambda _, __, ___: 3,
}
