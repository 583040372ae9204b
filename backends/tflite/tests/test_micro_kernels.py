"""The table of TFLM's kernels, against the interpreter: a model of one operator for each kernel and type."""

import numpy as np
import pytest
import torch

from edgeopt.ir import QuantSpec
from edgeopt_tflite.flatbuffer import ModelBuilder
from edgeopt_tflite.micro.operators import DATA_AT, KERNEL_TYPES, registrations

runtime = pytest.importorskip("tflite_micro", reason="needs tflite-micro").runtime

TYPES = ("float32", "int8", "int32", "int64", "bool")
SHAPE = (1, 4, 4, 2)
WINDOW = {"padding": 1, "strideW": 1, "strideH": 1, "fusedActivationFunction": 0}
POOL = {**WINDOW, "filterWidth": 2, "filterHeight": 2}
DILATED = {**WINDOW, "dilationWFactor": 1, "dilationHFactor": 1}
BARE = dict.fromkeys(("CEIL", "EXP", "ELU", "FLOOR", "LOG", "RELU", "RELU6", "ROUND", "RSQRT"), "")


def grid(scale, zero=0, dtype="int8"):
    return QuantSpec(dtype, torch.tensor([scale]), torch.tensor([zero], dtype=torch.int32))


PLAIN = grid(0.05)
PRESCRIBED = {
    "LOGISTIC": grid(1 / 256, -128), "SOFTMAX": grid(1 / 256, -128), "TANH": grid(1 / 128),
    "LOG_SOFTMAX": grid(16 / 256, 127),
}  # fmt: skip
UNARY = {
    "ABS": "Abs", "COS": "Cos", "HARD_SWISH": "HardSwish", "LEAKY_RELU": "LeakyRelu", "LOGISTIC": "",
    "LOG_SOFTMAX": "LogSoftmax", "NEG": "Neg", "SIN": "", "SOFTMAX": "Softmax", "SQRT": "",
    "SQUARE": "Square", "TANH": "", **BARE,
}  # fmt: skip
BINARY = {
    "ADD": "Add", "DIV": "Div", "FLOOR_MOD": "FloorMod", "MAXIMUM": "MaximumMinimum",
    "MINIMUM": "MaximumMinimum", "MUL": "Mul", "SUB": "Sub",
}  # fmt: skip
COMPARISON = {
    "EQUAL": "Equal", "GREATER": "Greater", "GREATER_EQUAL": "GreaterEqual", "LESS": "Less",
    "LESS_EQUAL": "LessEqual", "NOT_EQUAL": "NotEqual",
}  # fmt: skip
REDUCTIONS = ("MEAN", "REDUCE_ALL", "REDUCE_MAX", "REDUCE_MIN", "SUM")
PAIRS = [[0, 0], [1, 1], [1, 1], [0, 0]]
# Operator: constant inputs after the data, its output's shape, its options.
SHAPED = {
    "ARG_MAX": ([[3]], (1, 4, 4), "ArgMax", {"outputType": 2}),
    "ARG_MIN": ([[3]], (1, 4, 4), "ArgMin", {"outputType": 2}),
    "AVERAGE_POOL_2D": ([], (1, 3, 3, 2), "Pool2D", POOL),
    "BROADCAST_TO": ([[2, 4, 4, 2]], (2, 4, 4, 2), "BroadcastTo", {}),
    "CUMSUM": ([[1]], SHAPE, "Cumsum", {}),
    "GATHER": ([[0, 1]], (1, 2, 4, 2), "Gather", {"axis": 1, "batchDims": 0}),
    "MAX_POOL_2D": ([], (1, 3, 3, 2), "Pool2D", POOL),
    "MIRROR_PAD": ([PAIRS], (1, 6, 6, 2), "MirrorPad", {"mode": 0}),
    "PAD": ([PAIRS], (1, 6, 6, 2), "Pad", {}),
    "RESHAPE": ([[1, 32]], (1, 32), "Reshape", {"newShape": np.array([1, 32], np.int32)}),
    "RESIZE_BILINEAR": ([[8, 8]], (1, 8, 8, 2), "ResizeBilinear", {"halfPixelCenters": True}),
    "RESIZE_NEAREST_NEIGHBOR": ([[8, 8]], (1, 8, 8, 2), "ResizeNearestNeighbor", {"halfPixelCenters": True}),
    "REVERSE_V2": ([[1]], SHAPE, "ReverseV2", {}),
    "SLICE": ([[0, 0, 0, 0], [1, 2, 2, 2]], (1, 2, 2, 2), "Slice", {}),
    "STRIDED_SLICE": ([[0] * 4, [1, 4, 4, 2], [1, 2, 2, 1]], (1, 2, 2, 2), "StridedSlice", {}),
    "TRANSPOSE": ([[0, 3, 1, 2]], (1, 2, 4, 4), "Transpose", {}),
}  # fmt: skip
WEIGHTED = {
    "CONV_2D": ((3, 1, 1, 2), "Conv2D", DILATED),
    "DEPTHWISE_CONV_2D": ((1, 1, 1, 2), "DepthwiseConv2D", {**DILATED, "depthMultiplier": 1}),
    "FULLY_CONNECTED": ((3, 2), "FullyConnected", {"keepNumDims": True}),
    "TRANSPOSE_CONV": ((3, 1, 1, 2), "TransposeConv", WINDOW),
}


class Single:
    """A model of one operator that computes on values of one type."""

    def __init__(self, code, dtype):
        self.m, self.code, self.dtype = ModelBuilder(), code, dtype
        self.inputs = []

    def input(self, shape=SHAPE, dtype=None):
        kind = dtype or self.dtype
        tensor = self.m.tensor("x", shape, kind, PLAIN if kind == "int8" else None)
        self.inputs.append((f"x{len(self.inputs)}", tensor))
        return tensor

    def whole(self, values):
        return self.m.constant("c", np.array(values, np.int32))

    def constant(self, shape):
        return self.m.constant("w", np.ones(shape, self.dtype), self.grid(PLAIN))

    def grid(self, one):
        return one if self.dtype == "int8" else None

    def finish(self, operands, shape, options="", dtype=None, parameters=PLAIN, **values):
        kind = dtype or self.dtype
        made = self.m.tensor("y", shape, kind, parameters if kind == "int8" else None)
        self.m.operator(self.code, operands, [made], options, **values)
        return self.m.finish(self.inputs, [("y", made)], "")


def weighted(one):
    shape, options, values = WEIGHTED[one.code]
    x, channels = one.input(), shape[-1] if one.code.startswith("DEPTH") else shape[0]
    kind = "int32" if one.dtype == "int8" else one.dtype
    scale = one.grid(grid(0.0025, dtype="int32"))
    bias = one.m.constant("b", np.zeros(channels, kind), scale)
    operands = [x, one.constant(shape), bias]
    if one.code == "TRANSPOSE_CONV":
        operands = [one.whole([1, 4, 4, 3]), operands[1], x, bias]
    return one.finish(operands, (1, 4, 4, channels), options, **values)


def _matrices(one, x):
    b = one.input((1, 4, 2, 3))
    return one.finish([x, b], (1, 4, 4, 3), "BatchMatMul", adjX=False, adjY=False)


def _joined(one, x):
    operands, values = [x, one.input()], {"axis": 3, "fusedActivationFunction": 0}
    return one.finish(operands, (1, 4, 4, 4), "Concatenation", **values)


def _updated(one, x):
    update = one.input((1, 1, 4, 2))
    return one.finish([x, update, one.whole([0, 1, 0, 0])], SHAPE, "DynamicUpdateSlice")


def _padded(one, x):
    operands = [x, one.whole(PAIRS), one.constant((1,))]
    return one.finish(operands, (1, 6, 6, 2), "PadV2")


def _selected(one, x):
    return one.finish([one.input(dtype="bool"), x, one.input()], SHAPE, "SelectV2")


def _truth(options):
    return lambda one, x: one.finish([x, one.input()], SHAPE, options, dtype="bool")


SPECIAL = {
    "BATCH_MATMUL": _matrices,
    "CAST": lambda one, x: one.finish([x], SHAPE, "Cast", dtype="float32"),
    "CONCATENATION": _joined,
    "DEQUANTIZE": lambda one, x: one.finish([x], SHAPE, "Dequantize", dtype="float32"),
    "DYNAMIC_UPDATE_SLICE": _updated,
    "FILL": lambda one, _: one.finish([one.whole(SHAPE), one.constant(())], SHAPE, "Fill"),
    "LOGICAL_AND": _truth("LogicalAnd"),
    "LOGICAL_NOT": lambda one, x: one.finish([x], SHAPE, "LogicalNot", dtype="bool"),
    "LOGICAL_OR": _truth("LogicalOr"),
    "PADV2": _padded,
    "PRELU": lambda one, x: one.finish([x, one.constant((1, 1, 2))], SHAPE),
    "QUANTIZE": lambda one, x: one.finish([x], SHAPE, "Quantize", dtype="int8"),
    "SELECT_V2": _selected,
    "SPLIT": lambda one, x: one.finish([one.whole([3]), x], SHAPE, "Split", numSplits=1),
}
"""The operators that are like no others."""


def model(code, dtype):
    one = Single(code, dtype)
    if code in UNARY:
        values = {"LEAKY_RELU": {"alpha": 0.1}, "SOFTMAX": {"beta": 1.0}}.get(code, {})
        parameters = PRESCRIBED.get(code, PLAIN)
        return one.finish([one.input()], SHAPE, UNARY[code], parameters=parameters, **values)
    if code in BINARY:
        return one.finish([one.input(), one.input()], SHAPE, BINARY[code])
    if code in COMPARISON:
        return one.finish([one.input(), one.input()], SHAPE, COMPARISON[code], dtype="bool")
    if code in REDUCTIONS:
        return one.finish([one.input(), one.whole([1, 2])], (1, 1, 1, 2), "Reducer", keepDims=True)
    if code in SHAPED:
        constants, shape, options, values = SHAPED[code]
        operands = [one.input(), *map(one.whole, constants)]
        result = "int32" if code.startswith("ARG") else None
        return one.finish(operands, shape, options, dtype=result, **values)
    return weighted(one) if code in WEIGHTED else SPECIAL[code](one, one.input())


def runs(content):
    try:
        interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 18)
        place = 0
        while True:
            try:
                detail = interpreter.get_input_details(place)
            except (IndexError, RuntimeError):
                break
            interpreter.set_input(np.ones(tuple(detail["shape"]), detail["dtype"]), place)
            place += 1
        interpreter.invoke()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("code", sorted(KERNEL_TYPES.keys() - {"WHILE"}))
def test_the_table_says_what_the_kernel_takes(code):
    # LOGICAL_AND and LOGICAL_OR read whatever they are given as truth values; nothing writes them so.
    tried = ("bool",) if code in ("LOGICAL_AND", "LOGICAL_OR") else TYPES
    assert {dtype for dtype in tried if runs(model(code, dtype))} == KERNEL_TYPES[code]


def test_data_is_where_the_table_says():
    assert DATA_AT.keys() <= KERNEL_TYPES.keys()


def test_operators_are_registered_by_the_names_of_the_resolver():
    names = [
        "BATCH_MATMUL",
        "CUMSUM",
        "DEPTHWISE_CONV_2D",
        "LOG_SOFTMAX",
        "MAX_POOL_2D",
        "PADV2",
        "REVERSE_V2",
        "ADD",
    ]
    assert registrations([*names, "ADD"]) == [
        "AddAdd", "AddBatchMatMul", "AddCumSum", "AddDepthwiseConv2D", "AddLogSoftmax", "AddMaxPool2D",
        "AddPadV2", "AddReverseV2",
    ]  # fmt: skip
