"""The page on options: its tables are made of the types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_tables_are_what_the_command_makes():
    command = [sys.executable, str(DOCS / "make_options.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run: python docs/make_options.py\n{done.stderr}"
