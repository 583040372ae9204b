"""The page on options: its tables are made of the types."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"


def test_the_tables_are_what_the_command_makes():
    command = runpy.run_path(str(DOCS / "make_options.py"))
    assert command["main"](["--check"]) == 0, "run: python docs/make_options.py"
