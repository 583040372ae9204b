"""The site builds without a warning, from what the code says now, and asks no other host for anything."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys

import pytest
from page_blocks import ROOT

import edgeopt


def test_the_reference_is_what_the_command_writes():
    command = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
    assert command["main"](["--check"]) == 0, "run: python docs/make_reference.py"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_every_public_name_has_its_place(site):
    page = (site / "reference" / "api.html").read_text("utf-8")
    names = set(edgeopt.__all__) - {"errors"}
    assert {name for name in names if f'id="edgeopt.{name}"' not in page} == set()


@pytest.mark.slow
def test_nothing_comes_from_another_host(site):
    loads = re.compile(
        r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="?(https?:)?//', re.IGNORECASE
    )
    assert [
        str(page.relative_to(site))
        for page in site.rglob("*.html")
        if loads.search(page.read_text("utf-8"))
    ] == []


@pytest.mark.slow
def test_files_outside_docs_that_pages_link_to_are_pages(site):
    page = (site / "shapes_and_state.html").read_text("utf-8")
    assert "repository/examples/10_whisper.py.html" in page
    assert (site / "repository" / "examples" / "10_whisper.py.html").is_file()
    assert (site / "repository" / "SECURITY.html").is_file()
