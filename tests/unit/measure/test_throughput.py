"""Runs a second: by the runner on this machine, and what its counts say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgeopt.bundles import write_bundle
from edgeopt.devices import find_device
from edgeopt.errors import DeviceError
from edgeopt.measure import PlacedBundle, Throughput
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target

RAW = {
    "bundle": "toy", "digest": "d", "streams": 2, "threads": 1, "batch": 1, "window_ns": 1000,
    "runs": [10] * 12 + [11] * 12, "tried": [{"streams": 2, "threads": 1, "runs_per_second": 5.0}],
    "runtime": {}, "device": {}, "peak_memory_kb": 7,
}  # fmt: skip


def told(**changes):
    return Throughput.from_json(json.dumps({**RAW, **changes}).encode(), device="here")


def test_frames_are_runs_times_the_batch():
    one, four = told(), told(batch=4)
    assert one.low <= one.frames_per_second <= one.high
    assert 10e6 <= one.frames_per_second <= 11e6
    assert four.frames_per_second == pytest.approx(4 * one.frames_per_second)
    assert "batches of 4" in str(four)
    assert "2 at once of 1 threads" in str(one)


def test_an_interval_needs_parts():
    few = told(runs=[10, 11, 10])
    assert few.low is None
    assert few.high is None


@pytest.mark.parametrize(
    "changes", [{"runs": []}, {"runs": [0] * 24}, {"runs": [-1]}, {"batch": 0}, {"window_ns": 0}, {"tried": 3}]
)  # fmt: skip
def test_what_no_runner_writes_is_an_error(changes):
    with pytest.raises(DeviceError):
        told(**changes)


@pytest.fixture
def bundle(tmp_path):
    artifact = toy_artifact()
    return write_bundle(
        artifact, toy_runtime(), toy_target(), path=tmp_path / "toy", golden=toy_golden(artifact)
    )


@pytest.mark.slow
def test_a_bundle_is_played_here(bundle):
    with find_device("local") as device:
        result = PlacedBundle.push(bundle, device).throughput(streams=3)
    assert result.streams == 3
    assert result.frames_per_second > 0
    assert result.digest == bundle.digest
    assert [row[0] for row in result.tried] == [3]


@pytest.mark.slow
def test_several_are_tried_where_none_is_said(bundle):
    command = [sys.executable, str(bundle.path / "run.py"), "--throughput"]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    result = Throughput.from_json(done.stdout, device="here")
    assert (1, max(row[1] for row in result.tried)) in {row[:2] for row in result.tried}
    best = max(result.tried, key=lambda row: row[2])
    assert (result.streams, result.threads) == best[:2]


@pytest.mark.slow
def test_a_model_that_fails_ends_the_measurement(bundle, tmp_path):
    words = [sys.executable, str(bundle.path / "run.py"), "--throughput", "--program", "9"]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
