"""What joins many numbers to one, beside TVM's own: its maximum of nothing is a finite number."""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from edgeopt.contracts.storage import INT32

__all__ = ["greatest", "largest", "least", "product", "smallest"]


def least(kind: str) -> Any:
    """Returns what no number of ``kind`` is less than; TVM cannot write the least int32 everywhere."""
    if kind.startswith("float"):
        return tirx.const(float("-inf"), kind)
    return tirx.const(-0x7FFFFFFF, kind) if kind == INT32.name else tirx.min_value(kind)


def greatest(kind: str) -> Any:
    """Returns what no number of ``kind`` is greater than."""
    return tirx.const(float("inf"), kind) if kind.startswith("float") else tirx.max_value(kind)


def _max(a: Any, b: Any) -> Any:
    return tirx.max(a, b)


def _min(a: Any, b: Any) -> Any:
    return tirx.min(a, b)


product = te.comm_reducer(lambda a, b: a * b, lambda t: tirx.const(1, t), name="product")
largest = te.comm_reducer(_max, lambda t: least(str(t)), name="largest")
smallest = te.comm_reducer(_min, lambda t: greatest(str(t)), name="smallest")
