"""What TFLite for Micro (TFLM) has: its operators among those written here, and the types of their kernels.

Source: TFLM's `MicroMutableOpResolver` says which operators there are and how each is registered. The types
were found by running each kernel of the wheel ``tflite-micro`` 0.dev20261023182759 on each type; a test does
so again with the wheel that is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts.storage import INT32
from edgeopt.lowering import NoRuleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["DATA_AT", "KERNEL_TYPES", "RESULT_TYPES", "registrations", "require_micro"]

_REAL = frozenset({"float32"})
_BOTH = _REAL | {"int8"}
_NUMBERS = _BOTH | {"int32"}
_WIDE = _NUMBERS | {"int64"}
_TRUTH = frozenset({"bool"})
_ANY = _WIDE | _TRUTH

KERNEL_TYPES = {
    **dict.fromkeys(
        (
            "CEIL", "COS", "EXP", "FLOOR", "FLOOR_MOD", "LOG", "NEG", "ROUND", "SIN", "SQRT", "SQUARE",
        ),
        _REAL,
    ),
    **dict.fromkeys(
        (
            "ABS", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONV_2D", "CUMSUM",
            "DEPTHWISE_CONV_2D", "ELU", "FULLY_CONNECTED", "GATHER", "HARD_SWISH", "LEAKY_RELU",
            "LOGISTIC", "LOG_SOFTMAX", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "PRELU", "REDUCE_MAX",
            "REDUCE_MIN", "RELU", "RELU6", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT",
            "SELECT_V2", "SOFTMAX", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
        ),
        _BOTH,
    ),
    **dict.fromkeys(
        (
            "ADD", "DIV", "DYNAMIC_UPDATE_SLICE", "FILL", "MUL", "PAD", "PADV2", "QUANTIZE", "SPLIT",
            "SUB",
        ),
        _NUMBERS,
    ),
    **dict.fromkeys(("CAST", "SLICE", "STRIDED_SLICE"), _NUMBERS | _TRUTH),
    **dict.fromkeys(
        ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "MAXIMUM", "MINIMUM"), _WIDE
    ),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "REDUCE_ALL"), _TRUTH),
    **dict.fromkeys(
        ("BROADCAST_TO", "CONCATENATION", "EQUAL", "NOT_EQUAL", "RESHAPE", "REVERSE_V2", "WHILE"),
        _ANY,
    ),
    "DEQUANTIZE": frozenset({"int8"}),
}  # fmt: skip
"""Builtin operator to the types that its kernel computes on; on a grid or not."""

DATA_AT = {"FILL": 1, "SELECT_V2": 1, "SPLIT": 1, "TRANSPOSE_CONV": 2}
"""Where among the inputs the values lie that a kernel computes on, if not first."""

RESULT_TYPES = {
    "ARG_MAX": frozenset({"int32"}),
    "ARG_MIN": frozenset({"int32"}),
    "CAST": _NUMBERS | _TRUTH,
}
"""What a kernel can give, where that is another type than it computes on."""

_INDEXED = frozenset({"GATHER"})
"""Operators whose second input is indices, which must be int32."""

_ONE_TYPE = frozenset({"BATCH_MATMUL", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Operators whose weights must be of the type of what they are multiplied with: no hybrid kernels."""

_WORDS = {
    "2D": "2D", "CUMSUM": "CumSum", "MATMUL": "MatMul", "PADV2": "PadV2",
}  # fmt: skip


def registrations(operators: Iterable[str]) -> list[str]:
    """Returns the resolver's method for each operator, sorted: ``AddConv2D`` for ``CONV_2D``."""
    return sorted(
        "Add" + "".join(_WORDS.get(word, word.capitalize()) for word in name.split("_"))
        for name in set(operators)
    )


def require_micro(code: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> None:
    """Checks that TFLM has the operator ``code`` for these tensors.

    Raises:
        NoRuleError: It has not.
    """
    types = KERNEL_TYPES.get(code)
    if types is None:
        raise NoRuleError(f"TFLite for Micro has no {code}")
    kinds = [tensor.dtype if tensor is not None else "" for tensor in inputs]
    data = kinds[DATA_AT.get(code, 0)]
    if data and data not in types:
        raise NoRuleError(_takes(code, types, data))
    if code in _ONE_TYPE and kinds[1] != data:
        raise NoRuleError(f"TFLite for Micro's {code} takes one type, here {data} and {kinds[1]}")
    if code in _INDEXED and kinds[1] != INT32.name:
        raise NoRuleError(f"TFLite for Micro's {code} takes int32 indices, here {kinds[1]}")
    results = RESULT_TYPES.get(code)
    if results is not None and outputs[0].dtype not in results:
        raise NoRuleError(f"TFLite for Micro's {code} does not give {outputs[0].dtype}")


def _takes(code: str, types: frozenset[str], data: str) -> str:
    return f"TFLite for Micro's {code} takes {', '.join(sorted(types))}, here {data}"
