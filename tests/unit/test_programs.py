"""The programs beside the packages say what they do, before they do anything."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "docs", "scripts")
PROGRAMS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("[a-z]*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_command_line_is_read_by_argparse(path):
    """So that ``--help`` prints what is done, and a word that means nothing is refused.

    Not run: their imports take torch and peers.
    """
    calls = [
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    names = {
        func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls
    }
    assert "parse_args" in names
    assert names & {"ArgumentParser", "option_parser"}
