"""Operators: timed on a device, followed back to the model, and explained."""

from __future__ import annotations

import json

import msgspec
import pytest

from edgeopt.contracts.target import PeakRate
from edgeopt.errors import DeviceError
from edgeopt.measure import OperatorProfile, PlacedBundle, explain
from edgeopt.measure.explain import roof_of
from edgeopt.testing.toy import toy_target

pytestmark = pytest.mark.slow


def placed(bundle, device):
    return PlacedBundle.push(bundle, device)


@pytest.fixture
def profile(telling, device):
    return placed(telling(), device).operators(runs=10, threads=1)


def test_operators_are_followed_back_to_module_and_line(profile):
    conv = profile.operators[1]
    assert conv.values == ("conv", "relu")
    assert (conv.operator, conv.module, conv.source) == ("aten.conv2d.default", "stem", "net.py:3")
    assert (conv.kind, conv.macs, conv.place) == ("integer", 12_000_000, "stem net.py:3")
    assert conv.time_ms == pytest.approx(0.6)
    assert conv.share == pytest.approx(0.6)
    softmax = profile.operators[2]
    assert (softmax.kind, softmax.reason) == ("float", "no grid fits it")
    unknown = profile.operators[3]
    assert (unknown.kind, unknown.values, unknown.place) == ("other", (), "the runtime's own")


def test_time_by_kind_and_the_costliest(profile):
    assert profile.by_kind() == pytest.approx(
        {"conversion": 0.1, "integer": 0.6, "float": 0.25, "other": 0.05}
    )
    assert [one.kernel for one in profile.top(2)] == ["Conv", "Softmax"]
    assert profile.sum_ms == pytest.approx(1.0)
    plain = json.loads(json.dumps(profile.to_dict()))
    assert plain["sum_ms"] == pytest.approx(1.0)


def test_the_sum_is_held_against_the_whole_of_the_same_runs(profile, telling, device, told):
    assert profile.covered == pytest.approx(1.0)
    assert "a note" in profile.warnings
    assert not any("profiler's own runs" in text for text in profile.warnings)
    longer = told.replace('"whole_ns": 1_000_000.0', '"whole_ns": 1_250_000.0')
    missed = placed(telling("missed", told=longer), device).operators(runs=5)
    assert missed.covered == pytest.approx(0.8)
    assert any("80% of the whole" in text for text in missed.warnings)
    both = longer.replace('"statistic"', '"sum_ns": 1_200_000.0, "statistic"')
    assert placed(telling("both", told=both), device).operators(runs=5).covered == pytest.approx(
        0.96
    )


def test_without_a_report_the_values_are_named_at_least(telling, device):
    found = placed(telling(values=[]), device).operators(runs=5)
    assert found.operators[1].values == ("conv", "relu")
    assert found.operators[1].place == "conv, relu"


def test_a_runtime_without_a_profiler_says_so(telling, device):
    with pytest.raises(DeviceError, match="cannot time single operators"):
        placed(telling(told=""), device).operators(runs=5)
    failing = "\n    def operators(self, runs, *inputs):\n        raise RuntimeError('none here')\n"
    with pytest.raises(DeviceError, match="none here"):
        placed(telling("failing", told=failing), device).operators(runs=5)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"bundle": 3}'])
def test_what_is_no_profile_is_refused(telling, text):
    with pytest.raises(DeviceError, match="cannot be read"):
        OperatorProfile.from_json(text, device="pi", bundle=telling())


def topics(findings):
    return {finding.topic: finding.text for finding in reversed(findings)}


def test_what_dominates_and_what_fell_back(profile):
    said = topics(explain(profile, toy_target()))
    assert said["dominates"] == "aten.conv2d.default: 60% of the operators' time"
    assert said["in float"] == "1 operators, 25% of the time, run in float"
    assert said["converts"] == "1 operators that quantize and dequantize: 10% of the time"
    assert "no peak rate" in said["limits"]
    assert "VNNI" in said["lacks"]
    floats = [f.text for f in explain(profile, toy_target()) if f.topic == "in float"]
    assert floats[1] == "25% aten.softmax.int at head net.py:9: no grid fits it"
    assert "aten.softmax.int" in said["try"]


def with_rates(**rates):
    held = tuple(PeakRate(what, value, "toy") for what, value in rates.items())
    return msgspec.structs.replace(toy_target(), rates=held)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ({"int8_gops": 100.0, "memory_gb_s": 1.0}, "80% of the peak, compute-bound"),
        ({"int8_gops": 1000.0, "memory_gb_s": 0.08}, "83% of the peak, memory-bound"),
        ({"int8_gops": 1000.0, "memory_gb_s": 10.0}, "8% of the peak, so neither of them"),
        ({"int8_gops": 100.0}, "80% of the arithmetic peak"),
        ({"fp32_gflops": 100.0}, "no peak rate"),
    ],
)
def test_what_limits_it_is_said_only_where_the_descriptor_tells(profile, rates, words):
    # 24 million operations on one of two cores, 40 kB, in 0.6 ms
    assert words in topics(explain(profile, with_rates(**rates)))["limits"]


def test_the_roof_counts_the_cores_in_use(profile):
    rates = with_rates(int8_gops=100.0)
    one, two = (roof_of(msgspec.structs.replace(profile, threads=count), rates) for count in (1, 2))
    assert one.arithmetic_ms == pytest.approx(2 * two.arithmetic_ms)


def test_nothing_is_claimed_of_nothing(profile):
    assert explain(msgspec.structs.replace(profile, operators=()), toy_target()) == ()
    silent = tuple(msgspec.structs.replace(one, time_ms=0.0) for one in profile.operators)
    (only,) = explain(msgspec.structs.replace(profile, operators=silent), toy_target())
    assert "shorter than the runtime's clock" in only.text
    calm = msgspec.structs.replace(profile, precision="float32")
    assert "in float" not in topics(explain(calm, toy_target()))
