"""Temporary folders: gone with their process, at the latest when the next one begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile

import pytest

from edgeopt.files import make_temporary, remove_temporary, temporary_folder

DIES = """
import os, signal, sys
from edgeopt.files import make_temporary
folder = make_temporary()
(folder / "large").write_text("x")
print(folder, flush=True)
sys.stdin.read() if sys.argv[1] == "lives" else os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def parent(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_empty_and_goes(parent):
    with temporary_folder() as folder:
        assert list(parent.iterdir()) == [folder]
        assert list(folder.iterdir()) == []
        (folder / "file").write_text("x")
    assert list(parent.iterdir()) == []
    remove_temporary(folder)


def test_what_a_kill_leaves_the_next_removes(parent):
    command = [sys.executable, "-c", DIES, "dies"]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert len(list(parent.iterdir())) == 1
    with temporary_folder() as folder:
        assert list(parent.iterdir()) == [folder]


def test_what_others_and_this_process_use_stays(parent):
    command = [sys.executable, "-c", DIES, "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        theirs = one.stdout.readline().strip()
        mine = make_temporary()
        with temporary_folder() as folder:
            assert {str(p) for p in parent.iterdir()} == {theirs, str(mine), str(folder)}
        one.communicate("", timeout=60)
    remove_temporary(mine)


def test_links_and_folders_of_others_are_left_alone(parent, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_text("x")
    (parent / "edgeopt-run-link").symlink_to(elsewhere)
    (parent / f"edgeopt-{os.geteuid()}").mkdir()
    with temporary_folder():
        pass
    assert (elsewhere / "file").exists()
    assert (parent / f"edgeopt-{os.geteuid()}").exists()
