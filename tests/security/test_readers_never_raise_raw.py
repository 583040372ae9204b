"""Damaged input for every reader: a fixed part of what `make fuzz` tries.

Each run is a process of its own: it has an alarm, and folders of a user, which are the process's.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COUNT = 60
BROKEN = """
import dataclasses, sys, time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import fuzz
from targets import targets

good = targets(Path(sys.argv[2]))[0]


def raises(content):
    if content != good.honest:
        raise KeyError("x")


def hangs(content):
    if content != good.honest:
        time.sleep(3)


kept = []


def grows(content):
    if content != good.honest:
        kept.append(b"x" * (200 << 20))


for read, limit_s in ((raises, 10), (hangs, 1), (grows, 10)):
    fuzz.LIMIT_S = limit_s
    found = fuzz.campaign(dataclasses.replace(good, read=read), seed="fixed", count=3)
    print(*found.faults)
"""


def test_no_reader_raises_hangs_or_grows(tmp_path):
    command = [sys.executable, str(HERE / "fuzz.py"), "--seed", "fixed", "--count", str(COUNT)]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = re.findall(r"^\| [\w .]+ \| (\d+) \| \d+ \| 0 \|", ended.stdout, re.MULTILINE)
    assert len(rows) > 20
    assert set(rows) == {str(COUNT)}


def test_a_raw_error_a_hang_and_growth_are_seen(tmp_path):
    """That the campaign can fail."""
    command = [sys.executable, "-c", BROKEN, str(HERE), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    raw, hang, growth = ended.stdout.splitlines()
    assert raw.startswith("KeyError")
    assert hang.startswith("longer than")
    assert growth.startswith("it grew by")
