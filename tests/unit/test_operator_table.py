"""The tables of the operator database: new results go into them, the others stay."""

from __future__ import annotations

from edgeopt.testing.operator_database import Result, document
from edgeopt.testing.operator_database.rates_table import MARKS


def test_what_was_not_run_again_stays():
    first = document(
        f"a\n{MARKS[0]}\n{MARKS[1]}\nb",
        [
            Result("add", "s", "tflite", "float32", "right"),
            Result("add", "s", "tvm", "float32", "wrong"),
            Result("bernoulli", "s", "capture", "float32", "refused"),
            Result("sort", "s", "tflite", "int8", "refused"),
        ],
    )
    again = document(
        first,
        [
            Result("add", "s", "tvm", "float32", "right"),
            Result("sort", "s", "tvm", "float32", "refused"),
        ],
    )
    assert "| tvm | float32 | 1 | 1 | 0 | 0 |" in again
    assert "| tflite | float32 | 1 | 0 | 0 | 0 |" in again
    assert "| `add` |  | 1/0/0 |  | 1/0/0 |" in again
    assert "| `sort` |  | 0/1/0 |  | 0/1/0 |" in again
    assert "Not captured, with the reason said: `bernoulli`." in again
    assert document(again, []) == again
