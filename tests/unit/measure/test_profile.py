from __future__ import annotations

import json

import pytest

from edgeopt.errors import DeviceError
from edgeopt.measure import Profile
from edgeopt.measure.conditions import Conditions, conditions_warnings

CALM = {
    "governor": "performance",
    "clock_mhz": [1500, 1500],
    "temperature_c": {"cpu": 50.0},
    "throttled": "0",
    "load_average": 0.1,
}


def written(**changes) -> str:
    """Returns what run.py writes, by default of a calm device."""
    held = {
        "format": 1,
        "bundle": "toy",
        "digest": "d" * 64,
        "inputs": "golden",
        "threads": 4,
        "samples_ns": [2_000_000 + n for n in range(100)],
        "warmup_ns": [3_000_000],
        "first_inference_ns": 9_000_000,
        "import_ns": 100_000_000,
        "load_ns": 5_000_000,
        "peak_memory_kb": 40_960,
        "memory_before_kb": 20_480,
        "runtime": {"name": "toy"},
        "requirements": {"toy": {"wanted": "1.0", "installed": "1.0"}},
        "device": {"cores": 4, "cpu": "Toy"},
        "before": CALM,
        "after": CALM,
    }
    return json.dumps({**held, **changes})


def test_a_calm_measurement():
    profile = Profile.from_json(written(), device="pi", emulated=False, asked=100)
    assert profile.latency_ms == pytest.approx(2.0, rel=1e-3)
    assert profile.latency.p90_ms is not None
    assert (profile.load_ms, profile.import_ms, profile.first_inference_ms) == (5.0, 100.0, 9.0)
    assert (profile.peak_memory_mb, profile.model_memory_mb) == (40.0, 20.0)
    assert (profile.label, profile.emulated, profile.threads, profile.runs) == (
        "measured",
        False,
        4,
        100,
    )
    assert profile.warnings == ()
    assert profile.facts["device"]["cpu"] == "Toy"
    assert str(profile) == (
        "pi: 2 ms median, p90 2 (100 runs), 4 threads; load 5 ms, first call 9 ms, peak memory 40 MiB"
    )
    again = json.loads(json.dumps(profile.to_dict()))
    assert again["latency_ms"] == profile.latency_ms
    assert again["samples_ns"][0] == 2_000_000


def test_an_emulated_device_has_no_times_anywhere():
    profile = Profile.from_json(written(), device="pi", emulated=True)
    assert profile.emulated
    assert profile.latency_ms is None
    plain = profile.to_dict()
    names = ("latency", "latency_ms", "load_ms", "import_ms", "first_inference_ms")
    assert [plain[name] for name in (*names, "peak_memory_mb", "model_memory_mb")] == [None] * 7
    assert list(plain["samples_ns"]) == []
    assert plain["label"] == "emulated"
    text = str(profile)
    assert "emulated" in text
    assert " ms" not in text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"governor": "ondemand"}, "governor ondemand"),
        ({"throttled": "50005"}, "throttling or undervoltage (0x50005)"),
        ({"clock_mhz": [600, 900]}, "clocks fell from 1500 to 900 MHz"),
        ({"temperature_c": {"a": 20.0, "cpu": 84.6}}, "85 °C at the end"),
    ],
)
def test_conditions_that_cast_doubt(changes, text):
    profile = Profile.from_json(written(after={**CALM, **changes}), device="pi", emulated=False)
    (line,) = profile.warnings
    assert text in line
    assert f"  ! {line}" in str(profile)
    emulated = Profile.from_json(written(after={**CALM, **changes}), device="pi", emulated=True)
    assert emulated.warnings == ()


@pytest.mark.parametrize("flags", ["", "0", "50000", "0x0", "what?"])
def test_throttling_that_is_over_or_unknown_is_none(flags):
    calm = Conditions(throttled=flags)
    assert conditions_warnings(calm, calm, cores=4) == []


def test_other_doubts():
    requirements = {
        "toy": {"wanted": "1.0", "installed": "0.9"},
        "gone": {"wanted": "2", "installed": ""},
    }
    busy = {**CALM, "load_average": 3.5}
    wide = [1_000_000, 2_000_000, 3_000_000] * 5
    text = written(requirements=requirements, before=busy, samples_ns=wide, inputs="noise")
    profile = Profile.from_json(text, device="pi", emulated=False, asked=100)
    expected = (
        "toy 0.9 is installed there, 1.0 is pinned",
        "gone of an unknown version is installed there, 2 is pinned",
        "busy before the run: load average 3.5 on 4 cores",
        "the times vary: their middle half spans 100% of the median",
        "time was up after 15 of 100 runs",
        "timed on noise: the bundle holds no golden samples",
    )
    assert profile.warnings == expected


@pytest.mark.parametrize("text", ["", "{}", "[1]", written(samples_ns=["a"]), written(before=3)])
def test_what_is_no_benchmark(text):
    with pytest.raises(DeviceError, match="cannot be read"):
        Profile.from_json(text, device="pi", emulated=False)
