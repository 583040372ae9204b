"""The order in which fallbacks are tried."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import msgspec
import pytest

import edgeopt
from edgeopt.deployment.choose import dynamic_after
from edgeopt.deployment.fallbacks import fallbacks, keep_counts, kept_names
from edgeopt.gate.sensitivity import Sensitivity
from edgeopt.testing.specimens import specimen

KNOWN = ("int8", "float16", "float32")


def sensitivities(count):
    return [
        Sensitivity(f"v{i}", "conv", "", "", 30.0, 30.0, 0.0, 9.0 - i, keep=(f"v{i}", f"v{i + 1}"))
        for i in range(count)
    ]


def named(count):
    return [msgspec.structs.replace(one, shared=(one.value,)) for one in sensitivities(count)]


@pytest.mark.parametrize(
    ("sensitive_count", "counts"),
    [(0, ()), (1, (1,)), (3, (1, 2, 3)), (4, (1, 2, 4)), (12, (1, 2, 4, 8, 12))],
)
def test_twice_as_many_until_all_are_kept(sensitive_count, counts):
    assert keep_counts(sensitive_count) == counts


def test_names_are_kept_once_and_after_those_of_the_user():
    assert kept_names(sensitivities(3), 2, ("mine", "v1")) == ["mine", "v1", "v0", "v2"]


def test_ever_more_values_then_other_precisions():
    found = list(fallbacks("int8", {"weight_bits": 7}, sensitivities(7), KNOWN))
    assert [p for p, _ in found] == [*["int8"] * 4, "float16", "float32"]
    assert [len(s.get("keep_float", ())) for _, s in found] == [2, 3, 5, 8, 0, 0]
    assert found[0][1]["weight_bits"] == 7


def test_values_get_sixteen_bits_before_they_are_float_where_kernels_take_them():
    given = {"overrides": {"v0": {"ranges": "mse"}, "mine": {"bits": 16}}}
    found = [s for p, s in fallbacks("int8", given, named(2), KNOWN, wide=True) if p == "int8"]
    assert [("keep_float" in s) for s in found] == [False, True, False, True]
    assert found[0]["overrides"] == {"v0": {"ranges": "mse", "bits": 16}, "mine": {"bits": 16}}
    assert found[2]["overrides"]["v1"] == {"bits": 16}
    assert found[3]["overrides"] == given["overrides"]


@pytest.mark.parametrize(
    ("after", "order"),
    [
        (None, ["int8"] * 4),
        (1, ["int8", "int8-dynamic", *["int8"] * 3]),
        (99, [*["int8"] * 4, "int8-dynamic"]),
    ],
)
def test_rounded_inputs_come_as_early_as_they_are_a_gain(after, order):
    known = ("int8-dynamic", *KNOWN)
    found = [p for p, _ in fallbacks("int8", {}, sensitivities(7), known, dynamic_after=after)]
    assert found == [*order, "float16", "float32"]


@pytest.mark.parametrize(
    ("name", "passes", "after"),
    [
        ("residual", ["edgeopt_openvino.passes:round_input_groups"], None),
        ("projections", ["edgeopt_openvino.passes:round_input_groups"], 1),
        ("projections", [], sys.maxsize),
    ],
)
def test_rounded_inputs_come_early_where_a_pass_of_the_backend_declares_them(name, passes, after):
    model = specimen(name)
    program = edgeopt.capture(model.model, model.example)
    backend = SimpleNamespace(passes=lambda _: passes)
    assert dynamic_after(backend, None, program) == after


def test_rounded_inputs_are_tried_where_no_single_value_does_harm_but_not_where_unknown():
    known = ("int8-dynamic", *KNOWN)
    found = [p for p, _ in fallbacks("int8", {}, (), known, dynamic_after=1)]
    assert found == ["int8-dynamic", "float16", "float32"]
    assert "int8-dynamic" not in [p for p, _ in fallbacks("int8", {}, (), KNOWN, dynamic_after=1)]


@pytest.mark.parametrize(("precision", "left"), [("float16", ["float32"]), ("float32", [])])
def test_a_float_precision_has_no_values_to_keep(precision, left):
    assert [p for p, _ in fallbacks(precision, {}, sensitivities(3), KNOWN)] == left


def test_weights_of_few_bits_get_eight_before_anything_is_float():
    given = {"precision": "int4-dynamic", "overrides": {"v1": {"weight_bits": 2}}}
    known = ("int4-dynamic", "int8-dynamic", *KNOWN)
    found = list(fallbacks("int4-dynamic", given, named(3), known))
    assert [p for p, _ in found] == [*["int4-dynamic"] * 3, "int8-dynamic", "float16", "float32"]
    assert found[0][1]["overrides"] == {"v0": {"weight_bits": 8}, "v1": {"weight_bits": 2}}
    assert found[1][1]["overrides"] == {"v0": {"weight_bits": 8}, "v1": {"weight_bits": 8}}
    assert all("keep_float" not in s for _, s in found)
