"""A fixed part of PyTorch's operator database: nothing wrong, and no error that nobody wrote.

``make operators`` runs all of it, on TVM too, which takes seconds a model. Here, cases share one build for each
backend and precision; what is not right there is built alone.
"""

from __future__ import annotations

import pytest

from edgeopt.testing.operator_database import (
    Bench,
    Result,
    cases_of,
    cheap_export,
    operators,
)

BACKENDS = ("reference", "tflite", "openvino")
OPERATORS = (
    "addmm",
    "cat",
    "nn.functional.conv2d",
    "nn.functional.hardswish",
    "nn.functional.linear",
    "pow",
    "transpose",
    "where",
)


@pytest.fixture(scope="module")
def results():
    bench = Bench(BACKENDS, ("float32", "int8"), shared=BACKENDS)
    cases = [case for name in OPERATORS for case in cases_of(operators()[name], 1)]
    with cheap_export():
        return [told for told in bench.examine(cases) if isinstance(told, Result)]


def test_every_sample_is_right_or_refused(results):
    assert [r for r in results if r.outcome in ("wrong", "error")] == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_operator_is_right_somewhere(results, backend):
    right = {r.operator for r in results if r.backend == backend and r.outcome == "right"}
    assert right == set(OPERATORS)
