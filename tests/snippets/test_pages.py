"""The code in README and docs works: what can run here runs, all else is held to what there is."""

from __future__ import annotations

import sys

import page_checks
import pytest
import torch
from page_blocks import ROOT, blocks, left_out, pages

BLOCKS = {page.relative_to(ROOT).with_suffix("").as_posix(): blocks(page) for page in pages()}
RUN = {"python", "pycon", "c"}
"""Languages that a test runs or compiles; of shell, what is marked so."""


def runs(block):
    if "illustrative" in block.notes or "from" in block.notes:
        return False
    return block.language in RUN or "run" in block.notes


def quick(found):
    """Whether a page runs nothing but a few lines: what has a setup trains or deploys."""
    return not any(block.notes.keys() & {"setup"} for block in found)


RUNNING = [
    pytest.param(name, id=name, marks=() if quick(found) else pytest.mark.slow)
    for name, found in BLOCKS.items()
    if any(map(runs, found))
]


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    """A page works in a folder of its own, and leaves the reader's caches and settings alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("EDGEOPT_HISTORY", str(tmp_path / "history.jsonl"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for module in ("my_models", "my_package"):
        sys.modules.pop(module, None)
    torch.manual_seed(0)


@pytest.mark.parametrize("name", RUNNING)
def test_the_code_runs(name):
    page_checks.run_page(BLOCKS[name])


@pytest.mark.parametrize("name", [name for name, found in BLOCKS.items() if found])
def test_what_is_written_is_there(name):
    for block in BLOCKS[name]:
        page_checks.check(block)


def test_nothing_that_looks_like_ours_passes_as_plain_text():
    texts = [block for found in BLOCKS.values() for block in found if block.language == "text"]
    ours = ("edgeopt ", "edgeopt.", "import ", ">>> ", "python ", "make ")
    assert [
        block.where
        for block in texts
        if "output" not in block.notes and block.text.startswith(ours)
    ] == []


def test_few_are_left_out_and_each_says_why():
    left = left_out()
    assert all(len(reason.split()) > 2 for reason in left.values())
    running = sum(runs(block) for found in BLOCKS.values() for block in found)
    assert len(left) <= running / 4
