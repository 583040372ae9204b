"""Storage types and precisions as data; nobody else compares their names or writes their limits."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgeopt.contracts.storage import (
    FLOAT16,
    FLOAT32,
    INT2,
    INT3,
    INT4,
    INT8,
    INT32,
    STORAGE_TYPES,
    UINT8,
    Precision,
    StorageType,
)
from edgeopt.errors import ProgramError
from edgeopt.ir import QuantSpec
from edgeopt.ir.rounding import on_integers, round_and_clip

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NAMES = {*STORAGE_TYPES, *(p.value for p in Precision)} - {FLOAT32.name}
LIMITS = {127, 128, 255}
ALONE = {"device", "native", "worker", "tests", "testing"}
"""Folders of what stands alone: runtimes that are copied to devices, and tests."""
NOT_STORAGE = {
    "edgeopt/passes/separate_ties.py": "the largest odd denominator",
    "backends/tflite/edgeopt_tflite/flatbuffer.py": "the format's largest operator number of one byte",
    "backends/tvm/edgeopt_tvm/kernels/elementary.py": "the bias of a float32's exponent",
}
OWN_LIMITS = {
    *("ir", "passes", "quantization", "qat", "gate"),
    *("edgeopt_tflite", "edgeopt_openvino", "edgeopt_tvm", "edgeopt_micro"),
}


@pytest.mark.parametrize("bits", range(2, 17))
def test_limits_are_those_of_two_s_complement(bits: int) -> None:
    kind = StorageType(f"int{bits}", bits)
    assert (kind.lowest, kind.highest) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert kind.limits(narrow=True) == (-kind.highest, kind.highest)
    assert StorageType(f"uint{bits}", bits, signed=False).limits() == (0, 2**bits - 1)
    assert kind.steps == 2**bits - 1


@pytest.mark.parametrize("name", ["int8", "uint8", "int16", "int32"])
def test_limits_are_torch_s(name: str) -> None:
    info = torch.iinfo(getattr(torch, name))
    assert STORAGE_TYPES[name].limits() == (info.min, info.max)


@pytest.mark.parametrize("kind", [FLOAT16, FLOAT32])
def test_the_largest_number_is_torch_s(kind: StorageType) -> None:
    assert kind.largest == torch.finfo(getattr(torch, kind.name)).max


def test_packed_values_share_bytes() -> None:
    assert [INT4.bytes_for(n) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert [INT3.bytes_for(n) for n in (0, 1, 2, 3, 8)] == [0, 1, 1, 2, 3]
    assert [INT2.bytes_for(n) for n in (1, 4, 5)] == [1, 1, 2]
    assert [one.bytes_for(3) for one in (INT8, FLOAT16, INT32)] == [3, 6, 12]


def test_ties_go_to_the_even_integer_and_ends_clip() -> None:
    x = torch.tensor([0.5, 1.5, -0.5, -1.5, 1e9, -1e9])
    integers = round_and_clip(x, torch.ones(1), 0, *INT8.limits())
    assert integers.tolist() == [0, 2, 0, -2, 127, -128]
    assert on_integers(x, torch.ones(1), 3, *INT8.limits()).tolist() == [0, 2, 0, -2, 124, -131]


def test_fewer_bits_and_channels_narrow_a_spec() -> None:
    one = QuantSpec("int8", bits=7)
    channels = QuantSpec(INT8, torch.ones(3), torch.zeros(3, dtype=torch.int32), axis=0)
    assert (one.q_min, one.q_max, one.granularity) == (-64, 63, "tensor")
    assert (channels.q_min, channels.q_max, channels.granularity) == (-127, 127, "channel")
    assert one.is_activation
    assert not channels.is_activation
    with pytest.raises(ProgramError, match="int9"):
        QuantSpec("int9")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "weights", "activations", "calibrated"),
    [
        ("int8", INT8, INT8, True),
        ("int8-dynamic", INT8, FLOAT32, False),
        ("float16", FLOAT16, FLOAT32, False),
        ("float32", FLOAT32, FLOAT32, False),
    ],
)
def test_precisions_say_what_is_stored(
    name: str, weights: StorageType, activations: StorageType, *, calibrated: bool
) -> None:
    precision = Precision(name)
    assert (precision.weight_type, precision.activation_type) == (weights, activations)
    assert precision.needs_calibration == precision.is_integer == calibrated
    assert precision.has_integer_weights == (weights == INT8)
    assert (f"{precision}", str(precision), precision) == (name, name, name)


def test_device_runtimes_clip_to_the_same_limits() -> None:
    for backend in ("tflite", "openvino"):
        source = ROOT / "backends" / backend / f"edgeopt_{backend}" / "device" / "runtime.py"
        tree = ast.parse(source.read_text(encoding="utf-8"))
        ends = [
            [ast.literal_eval(a) for a in node.args[1:3]]
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "clip"
            and isinstance(node.args[1], ast.Constant | ast.UnaryOp)
        ]  # fmt: skip
        assert all(tuple(pair) == INT8.limits() for pair in ends), source
    assert np.iinfo(np.uint8).max == UINT8.highest


def test_nobody_else_compares_names_of_storage_types() -> None:
    found = [f"{path}:{line}" for path, tree in _sources() for line in _comparisons(tree)]
    assert not found, "ask edgeopt.contracts.storage: a StorageType or a Precision"


def test_nobody_else_writes_limits() -> None:
    assert all((ROOT / path).exists() for path in NOT_STORAGE)
    found = [
        f"{path}:{node.lineno}"
        for path, tree in _sources()
        if path not in NOT_STORAGE and set(Path(path).parts) & OWN_LIMITS
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in LIMITS
    ]
    assert not found, "ask a StorageType for its limits"


@functools.cache
def _sources() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for folder in ("edgeopt", "backends")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not ALONE & set(path.parts[len(ROOT.parts) :])
    ]


def _comparisons(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        compared: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "startswith":
            compared = node.args
        elif isinstance(node, ast.MatchValue):
            compared = [node.value]
        for one in compared:
            elements = one.elts if isinstance(one, ast.Tuple | ast.List | ast.Set) else [one]
            if any(isinstance(e, ast.Constant) and e.value in NAMES for e in elements):
                yield node.lineno
