"""Which operators of a TFLite file XNNPACK's are, by kind and order. Python 3.9.

XNNPACK runs operators in the file's order, leaves some out (a reshape), joins some (a square and
its mean) and splits none. So the two lists are aligned: each of XNNPACK's operators is one of the
file's that it can be, in the same order, as many as possible.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["aligned"]

_KINDS = (
    ("Fully Connected", ("FULLY_CONNECTED", "CONV_2D", "BATCH_MATMUL")),
    ("Convolution", ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")),
    ("Deconvolution", ("TRANSPOSE_CONV",)),
    ("Batch Matrix Multiply", ("BATCH_MATMUL",)),
    ("Mean Squared", ("MEAN",)),
    ("Mean", ("MEAN",)),
    ("Sum", ("SUM",)),
    ("Reduce", ("REDUCE_MAX", "REDUCE_MIN", "SUM", "MEAN")),
    ("Add", ("ADD",)),
    ("Subtract", ("SUB",)),
    ("Multiply", ("MUL",)),
    ("Divide", ("DIV",)),
    ("Squared Difference", ("SQUARED_DIFFERENCE",)),
    ("Maximum", ("MAXIMUM", "RELU")),
    ("Minimum", ("MINIMUM",)),
    ("Max Pooling", ("MAX_POOL_2D",)),
    ("Average Pooling", ("AVERAGE_POOL_2D",)),
    ("Global Average Pooling", ("MEAN", "AVERAGE_POOL_2D")),
    ("Convert", ("QUANTIZE", "DEQUANTIZE", "CAST")),
    ("Static Reshape", ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")),
    ("Copy", ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")),
    ("Transpose", ("TRANSPOSE",)),
    ("Constant Pad", ("PAD", "PADV2")),
    ("Concatenate", ("CONCATENATION",)),
    ("Even Split", ("SPLIT",)),
    ("Slice", ("SLICE", "STRIDED_SLICE")),
    ("Softmax", ("SOFTMAX",)),
    ("Sigmoid", ("LOGISTIC",)),
    ("TanH", ("TANH",)),
    ("Tanh", ("TANH",)),
    ("GELU", ("GELU",)),
    ("HardSwish", ("HARD_SWISH",)),
    ("Clamp", ("RELU", "RELU6", "RELU_N1_TO_1")),
    ("ELU", ("ELU",)),
    ("Leaky ReLU", ("LEAKY_RELU",)),
    ("PReLU", ("PRELU",)),
    ("Reciprocal Square Root", ("RSQRT",)),
    ("Square Root", ("SQRT",)),
    ("Square", ("SQUARE", "MUL")),
    ("Abs", ("ABS",)),
    ("Negate", ("NEG",)),
    ("Exp", ("EXP",)),
    ("Log", ("LOG",)),
    ("Floor", ("FLOOR",)),
    ("Ceiling", ("CEIL",)),
    ("Resize Bilinear", ("RESIZE_BILINEAR",)),
    ("Depth To Space", ("DEPTH_TO_SPACE",)),
    ("Space To Depth", ("SPACE_TO_DEPTH",)),
)
_UNARY = frozenset(
    [
        "LOGISTIC",
        "TANH",
        "GELU",
        "HARD_SWISH",
        "ELU",
        "LEAKY_RELU",
        "RELU",
        "RELU6",
        "ABS",
        "NEG",
        "EXP",
        "LOG",
        "FLOOR",
        "CEIL",
        "SQRT",
        "RSQRT",
        "SQUARE",
        "QUANTIZE",
        "DEQUANTIZE",
    ]
)
_SURE, _PERHAPS = 4, 1


def aligned(ours: list[str], theirs: list[str]) -> list[Any]:
    """Returns for each of XNNPACK's operators the place of the file's that it is, or None.

    Args:
        ours: Operators of the file, as its schema calls them.
        theirs: Operators of XNNPACK, as it calls them.
    """
    best = [[0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]
    for i in range(len(ours) - 1, -1, -1):
        for j in range(len(theirs) - 1, -1, -1):
            both = _likeness(ours[i], theirs[j])
            match = both + best[i + 1][j + 1] if both else 0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], match)
    return _aligned(ours, theirs, best)


def _aligned(ours: list[str], theirs: list[str], best: list[list[int]]) -> list[Any]:
    places: list[Any] = [None] * len(theirs)
    i = j = 0
    while i < len(ours) and j < len(theirs):
        both = _likeness(ours[i], theirs[j])
        if both and best[i][j] == both + best[i + 1][j + 1]:
            places[j] = i
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return places


@cache
def _likeness(ours: str, theirs: str) -> int:
    for name, codes in _KINDS:
        if theirs.startswith(name):
            return _SURE if ours in codes else 0
    return _PERHAPS if ours in _UNARY else 0  # it has no name for operators that are a table
