"""A fixed part of PyTorch's operator database: nothing wrong, and no error that nobody wrote.

``make operators`` runs all of it, on TVM too, which takes seconds a model.
"""

from __future__ import annotations

import pytest

from edgeopt.testing.operator_database import Bench, Result, cases_of, cheap_export, operators

OPERATORS = (
    "abs",
    "addmm",
    "cat",
    "nn.functional.conv2d",
    "nn.functional.hardswish",
    "nn.functional.linear",
    "pow",
    "transpose",
    "where",
)
SAMPLES = 1


@pytest.fixture(scope="module")
def bench():
    with cheap_export():
        yield Bench(("reference", "tflite", "openvino"), ("float32", "int8"))


@pytest.mark.parametrize("name", OPERATORS)
def test_every_sample_is_right_or_refused(bench, name):
    told = bench.examine(cases_of(operators()[name], SAMPLES))
    results = [one for one in told if isinstance(one, Result)]
    assert any(result.outcome == "right" for result in results)
    assert [r for r in results if r.outcome in ("wrong", "error")] == []
