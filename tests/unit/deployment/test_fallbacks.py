"""The order in which fallbacks are tried."""

from __future__ import annotations

import pytest

from edgeopt.deployment.fallbacks import fallbacks, keep_counts, kept_names
from edgeopt.gate.sensitivity import Sensitivity

KNOWN = ("int8", "float16", "float32")


def sensitivities(count):
    return [
        Sensitivity(f"v{i}", "conv", "", "", 30.0, 30.0, 0.0, 9.0 - i, keep=(f"v{i}", f"v{i + 1}"))
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("sensitive_count", "counts"),
    [(0, ()), (1, (1,)), (3, (3,)), (4, (3, 4)), (12, (3, 6, 12)), (40, (3, 6, 12, 24, 40))],
)
def test_twice_as_many_until_all_are_kept(sensitive_count, counts):
    assert keep_counts(sensitive_count) == counts


def test_names_are_kept_once_and_after_those_of_the_user():
    assert kept_names(sensitivities(3), 2, ("mine", "v1")) == ["mine", "v1", "v0", "v2"]


def test_ever_more_values_then_other_precisions():
    found = list(fallbacks("int8", {"weight_bits": 7}, sensitivities(7), KNOWN))
    assert [p for p, _ in found] == ["int8", "int8", "int8", "float16", "float32"]
    assert [len(s.get("keep_float", ())) for _, s in found] == [4, 7, 8, 0, 0]
    assert found[0][1]["weight_bits"] == 7


@pytest.mark.parametrize(("precision", "left"), [("float16", ["float32"]), ("float32", [])])
def test_a_float_precision_has_no_values_to_keep(precision, left):
    assert [p for p, _ in fallbacks(precision, {}, sensitivities(3), KNOWN)] == left
