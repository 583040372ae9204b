"""The page on targets: its table is up to date, and its example is accepted."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from edgeopt.registry import find_target

DOCS = Path(__file__).parents[3] / "docs"


def test_the_table_is_what_the_command_makes() -> None:
    command = runpy.run_path(str(DOCS / "make_targets.py"))
    assert command["main"](["--check"]) == 0, "run: python docs/make_targets.py"


@pytest.mark.parametrize("name", ["my-board", "my-sensor"])
def test_the_example_is_accepted(tmp_path: Path, name: str) -> None:
    page = (DOCS / "targets.md").read_text(encoding="utf-8")
    example = re.search(rf'```toml\n(name = "{name}".*?)```', page, re.DOTALL)
    assert example is not None
    path = tmp_path / f"{name}.toml"
    path.write_text(example[1], encoding="utf-8")
    assert find_target(path).name == name
