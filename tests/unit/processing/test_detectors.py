"""Boxes, masks, keypoints and rotated boxes are ultralytics' own, of the same outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_what_is_found_is_what_ultralytics_finds():
    command = [sys.executable, str(Path(__file__).with_name("detectors.py"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    assert len(results) == 13
    assert sum(one["boxes found"] for one in results.values()) > 1000
    wrong = {
        name: one["off"]
        for name, one in results.items()
        if one["off"] == "count" or any(value > 1e-4 for value in one["off"].values())
    }
    assert not wrong
