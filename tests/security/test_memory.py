"""Files that are small on the disk and large in memory are refused before they grow (`memory.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST_MB = 50
HARMLESS = (
    "history: ",
    "many axes",
    "many lists",
    "pt2: sizes of 1048576",
    "pt2: sizes of 2147483648",
)
"""What these hold is taken, or its bad lines are counted: it is small in memory as well."""


def test_none_grows_and_none_raises_raw():
    command = [sys.executable, str(Path(__file__).with_name("memory.py"))]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    rows = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert len(rows) > 110
    assert [r for r in rows if r["growth_mb"] > MOST_MB] == []
    taken = [r["name"] for r in rows if r["said"] == "taken"]
    assert [name for name in taken if not any(part in name for part in HARMLESS)] == []
    raw = [r for r in rows if r["said"] != "taken" and not r["said"].startswith("edgeopt.errors.")]
    assert raw == []


def test_growth_is_seen():
    """That the measure can fail."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import memory\n"
        "print(memory.growth_mb(lambda: bytearray(100 << 20))[1])"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert 95 < float(ended.stdout) < 130
