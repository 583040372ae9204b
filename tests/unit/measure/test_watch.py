"""What is read beside the runs, from files as the kernel has them; and a clock that jumps."""

from __future__ import annotations

import json
import os
import time

import pytest

from edgeopt.bundles.device.edgeopt_runner import rounds, watch
from edgeopt.measure import Profile
from edgeopt.measure.conditions import Reading, reading_warnings


@pytest.fixture
def system(tmp_path):
    def put(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    put("class/powercap/intel-rapl:0/name", "package-0")
    put("class/powercap/intel-rapl:0/energy_uj", 900)
    put("class/powercap/intel-rapl:0/max_energy_range_uj", 1000)
    put("class/powercap/intel-rapl:0:0/name", "core")
    put("class/powercap/intel-rapl:0:0/energy_uj", 5)
    put("class/thermal/thermal_zone0/temp", 51_500)
    put("devices/platform/soc/soc:firmware/get_throttled", "50000")
    for core in os.sched_getaffinity(0):
        put(f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", 1_500_000)
    return tmp_path, put


def test_energy_of_packages_only_and_past_the_end_of_the_counter(system):
    root, put = system
    watched = watch.Watch(str(root))
    put("class/powercap/intel-rapl:0/energy_uj", 150)
    assert watched.told()["energy_uj"] == 250


def test_a_counter_that_may_not_be_read_is_none(system, tmp_path):
    assert watch.Watch(str(tmp_path / "nothing")).told()["energy_uj"] is None


def test_clock_heat_and_throttling_between_runs(system):
    root, _ = system
    watched = watch.Watch(str(root))
    watched(0)
    watched(1)  # too soon
    (reading,) = watched.told()["readings"]
    assert reading == {
        "run": 0, "clock_mhz": 1500, "temperature_c": 51.5, "throttled": "50000"
    }  # fmt: skip


def test_a_system_that_tells_nothing_has_no_readings(tmp_path):
    watched = watch.Watch(str(tmp_path))
    watched(0)
    assert watched.told()["readings"] == []


def test_cores():
    assert watch.parse_cores("0-2,5") == {0, 1, 2, 5}
    for wrong in ("", "a", "3-1", "1,,2"):
        with pytest.raises(ValueError, match=r".*"):
            watch.parse_cores(wrong)


def test_pinning_where_it_is_not_possible_says_why():
    before = os.sched_getaffinity(0)
    told = watch.pin({4095})
    assert not told["pinned"]
    assert told["why_not_pinned"].startswith("not allowed")
    assert os.sched_getaffinity(0) == before
    assert watch.pin(None)["why_not_pinned"] == ""


def test_readings_cast_doubt():
    fell = [Reading(0, 1800), Reading(40, 900, 82.0, "0x2")]
    lines = reading_warnings(fell, asleep_ns=3_000_000_000)
    assert lines == [
        "clocks went from 1800 down to 900 MHz meanwhile",
        "throttled after run 40, by the firmware's own account",
        "the device slept for 3.0 s meanwhile",
    ]
    assert reading_warnings([Reading(0, 1800), Reading(9, 1790)], 0) == []


def test_the_date_may_be_set_meanwhile(monkeypatch):
    jumps = iter([2e9, 1e9, 0.0] * 100)
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(jumps)) * 10**9)
    found = rounds.interleaved({"a": lambda: None}, runs=20)
    assert len(found["a"]) == 20
    assert all(0 <= ns < 10**9 for ns in found["a"])


def written(**changes):
    state = {"governor": "performance", "load_average": 0.0}
    held = {
        "bundle": "toy", "digest": "d", "inputs": "golden", "threads": 1,
        "samples_ns": [2_000_000] * 90, "first_inference_ns": 1, "import_ns": 1, "load_ns": 1,
        "peak_memory_kb": 1, "memory_before_kb": 1, "runtime": {}, "requirements": {},
        "device": {"cores": 2}, "before": state, "after": state,
    }  # fmt: skip
    return Profile.from_json(json.dumps({**held, **changes}), device="pi", emulated=False)


def test_energy_of_a_call_and_pinning():
    profile = written(energy_uj=900_000, cores=[2, 3], pinned=True)
    assert profile.energy_mj == pytest.approx(10.0)
    assert (profile.cores, profile.pinned, profile.stable) == ((2, 3), True, True)
    assert written().energy_mj is None
    refused = written(why_not_pinned="not allowed: Invalid argument")
    assert "not pinned to cores: not allowed: Invalid argument" in refused.warnings
    assert Profile.from_dict(profile.to_dict()) == profile


def test_times_that_vary_or_drift_are_unstable():
    varies = written(samples_ns=[1_000_000, 2_000_000] * 45)
    drifts = written(samples_ns=[1_000_000] * 45 + [1_150_000] * 45)
    assert not varies.stable
    assert not drifts.stable
    assert any("drift" in text for text in drifts.warnings)


def test_the_interval_holds_the_median():
    calm = written(samples_ns=[1_000_000 + n % 7 for n in range(100)]).latency
    assert calm.low_ms < calm.median_ms < calm.high_ms
    assert calm.high_ms - calm.low_ms < 0.03 * calm.median_ms
    restless = written(samples_ns=[1_000_000 + 5_000 * (n // 10) for n in range(100)]).latency
    assert restless.high_ms - restless.low_ms > calm.high_ms - calm.low_ms
    assert written(samples_ns=[1_000_000] * 5).latency.low_ms is None


def test_on_a_busy_device_the_interval_reaches_down_to_the_fastest_run():
    samples = [1_000_000] + [2_000_000] * 89
    state = {"governor": "performance", "load_average": 3.5}
    assert written(samples_ns=samples).latency.low_ms > 1.9
    busy = written(samples_ns=samples, before=state)
    assert busy.latency.low_ms == 1.0
    assert busy.latency.median_ms == 2.0
