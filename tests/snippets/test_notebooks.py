"""The notebooks run, and hold no outputs where they are kept."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest
from page_blocks import ROOT

SOURCES = sorted((ROOT / "docs" / "notebooks").glob("*.py"))
COMMAND = [sys.executable, str(ROOT / "docs" / "make_notebooks.py")]


def made(folder, *words):
    done = subprocess.run(
        [*COMMAND, *words, "--output", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.stem: nbformat.read(path, as_version=4) for path in folder.glob("*.ipynb")}


def printed(notebook):
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    return "".join(one.get("text", "") for one in outputs if one.get("name") == "stdout")


def test_each_source_is_a_notebook_with_text_and_code_and_no_outputs(tmp_path):
    notebooks = made(tmp_path, "--no-run")
    assert set(notebooks) == {path.stem for path in SOURCES}
    for notebook in notebooks.values():
        assert {cell.cell_type for cell in notebook.cells} == {"markdown", "code"}
        assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.slow
def test_the_quickest_one_runs(tmp_path):
    assert "float32: score 0." in printed(made(tmp_path, "report")["report"])


def test_a_name_that_is_none_is_refused(tmp_path):
    done = subprocess.run([*COMMAND, "no-such"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are classification, report" in done.stderr
