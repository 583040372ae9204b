"""Which types TFLite's kernels take, where it is not all of them.

Found by running each kernel of LiteRT on each type: a kernel that lacks one lets the model be written, and
fails when it is loaded or run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.lowering import NoRuleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_tflite.flatbuffer import Tensor

__all__ = ["require_types"]

_REAL = frozenset({"float32"})
_NUMBERS = frozenset({"float32", "int32", "int64"})
_SHORT = frozenset({"float32", "int32"})
_TRUTH = frozenset({"bool"})

_TYPES = {
    **dict.fromkeys(
        (
            "ATAN2", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CEIL", "CONV_2D", "COS", "DEPTHWISE_CONV_2D", "ELU",
            "EXP", "FLOOR", "FULLY_CONNECTED", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG",
            "LOGISTIC", "LOG_SOFTMAX", "MAX_POOL_2D", "PRELU", "RELU", "RELU6", "RELU_0_TO_1",
            "RELU_N1_TO_1", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "ROUND", "RSQRT", "SIN",
            "SOFTMAX", "SQRT", "SQUARE", "TANH", "TRANSPOSE_CONV",
        ),
        _REAL,
    ),
    **dict.fromkeys(("ABS", "DIV", "POW", "SIGN"), _SHORT),
    **dict.fromkeys(
        (
            "ADD", "CUMSUM", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL",
            "MAXIMUM", "MEAN", "MINIMUM", "MUL", "NEG", "REDUCE_MAX", "REDUCE_MIN", "SUB", "SUM",
            "TOPK_V2",
        ),
        _NUMBERS,
    ),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL"), _NUMBERS | _TRUTH),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _SHORT | _TRUTH),
    **dict.fromkeys(
        ("LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "REDUCE_ALL", "REDUCE_ANY"), _TRUTH
    ),
}  # fmt: skip
"""Builtin operator to what its kernel takes beside values on a grid."""


_ALIKE = frozenset(
    {
        "ADD", "BATCH_MATMUL", "DIV", "EQUAL", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS",
        "LESS_EQUAL", "MAXIMUM", "MINIMUM", "MUL", "NOT_EQUAL", "POW", "SUB",
    }
)  # fmt: skip
"""Those whose two inputs must be of one type."""

_DATA_AT = {"TRANSPOSE_CONV": 2}
"""Where the values lie that a kernel computes on, if not first: before them its output's shape and weights."""


def require_types(code: str, inputs: Sequence[Tensor | None]) -> None:
    """Checks that the kernel of ``code`` takes the types of its inputs.

    Args:
        code: The operator's name in ``BuiltinOperator``.
        inputs: What it is given; integers on a grid are another kernel's.

    Raises:
        NoRuleError: It does not.
    """
    kinds = [tensor.dtype for tensor in inputs if tensor is not None]
    if code in _ALIKE and len(set(kinds)) > 1:
        raise NoRuleError(f"TFLite's {code} takes one type, here {' and '.join(kinds)}")
    data, types = inputs[_DATA_AT.get(code, 0)], _TYPES.get(code)
    if data is None or types is None or data.grid is not None or data.dtype in types:
        return
    raise NoRuleError(f"TFLite's {code} takes {', '.join(sorted(types))}, here {data.dtype}")
