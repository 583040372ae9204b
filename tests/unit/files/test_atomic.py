"""A file or a folder appears whole or not at all; what a kill left behind is removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgeopt.files import atomic, drafting, replacing, write_file

DIES = """
import os, signal, sys
from pathlib import Path
from edgeopt.files import replacing
with replacing(Path(sys.argv[1])) as new:
    new.write_bytes(b"half")
    if sys.argv[2] == "wait":
        print("ready", flush=True)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def killed(path):
    command = [sys.executable, "-c", DIES, str(path), "die"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


@pytest.fixture
def waiting(tmp_path):
    """Yields a process that is writing ``it``."""
    command = [sys.executable, "-c", DIES, str(tmp_path / "it"), "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_file_is_replaced(tmp_path):
    for content in (b"one", b"two"):
        write_file(tmp_path / "a" / "it", content)
        assert (tmp_path / "a" / "it").read_bytes() == content
    assert names(tmp_path / "a") == ["it"]


def test_permissions_are_those_of_any_file(tmp_path):
    write_file(tmp_path / "it", b"")
    (tmp_path / "other").write_bytes(b"")
    assert (tmp_path / "it").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_an_error_leaves_the_old(tmp_path):
    write_file(tmp_path / "it", b"old")

    def half():
        with replacing(tmp_path / "it") as new:
            new.write_bytes(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert (tmp_path / "it").read_bytes() == b"old"
    assert names(tmp_path) == ["it"]


def test_what_a_kill_left_is_swept_by_the_next_write_of_the_same_name(tmp_path):
    for _ in range(3):
        killed(tmp_path / "it[1]")
        assert len([n for n in names(tmp_path) if n.startswith(".it[1].")]) == 1
    killed(tmp_path / "it")
    write_file(tmp_path / "it[1]", b"whole")
    left = names(tmp_path)
    assert left[-1] == "it[1]"
    assert [name.startswith(".it.") for name in left[:-1]] == [True]


def test_the_draft_of_a_process_that_lives_stays(tmp_path, waiting):
    before = set(names(tmp_path))
    write_file(tmp_path / "it", b"mine")
    assert set(names(tmp_path)) == {*before, "it"}
    waiting.kill()
    waiting.wait()
    write_file(tmp_path / "it", b"again")
    assert names(tmp_path) == ["it"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_as_a_whole(tmp_path, monkeypatch, exchange):
    if not exchange:  # as on systems that cannot
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    for name in ("one", "two"):
        with replacing(tmp_path / "it") as new:
            new.mkdir()
            (new / name).write_text(name)
        assert names(tmp_path / "it") == [name]
    assert names(tmp_path) == ["it"]


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_of_many_at_once_one_is_there_whole(tmp_path, monkeypatch, kind, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    faults = []

    def write(number):
        try:
            for _ in range(5):
                with replacing(tmp_path / "it") as new:
                    if kind == "folder":
                        new.mkdir()
                        (new / "a").write_text(str(number))
                        (new / "b").write_text(str(number))
                    else:
                        new.write_text(f"{number} {number}")
        except OSError as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    write(9)
    assert names(tmp_path) == ["it"]
    it = tmp_path / "it"
    parts = [p.read_text() for p in it.iterdir()] if kind == "folder" else it.read_text().split()
    assert len(parts) == 2
    assert len(set(parts)) == 1


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_of_many_that_may_not_overwrite_one_wins(tmp_path, kind):
    refused = []

    def write(number):
        try:
            with replacing(tmp_path / "it", overwrite=False) as new:
                if kind == "folder":
                    new.mkdir()
                    (new / "a").write_text(str(number))
                else:
                    new.write_text(str(number))
        except FileExistsError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
    assert names(tmp_path) == ["it"]


def test_a_file_takes_no_folders_place_unasked(tmp_path):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "precious").write_text("keep")
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "it", b"")
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "it") as new:
        new.write_text("")
    (tmp_path / "file").write_text("keep")
    with pytest.raises(FileExistsError), replacing(tmp_path / "file") as new:
        new.mkdir()
    assert (tmp_path / "it" / "precious").read_text() == (tmp_path / "file").read_text() == "keep"


def test_a_pipe_takes_what_is_written_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    said = []
    reader = threading.Thread(target=lambda: said.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_file(tmp_path / "pipe", b"through")
    reader.join()
    assert said == [b"through"]
    assert (tmp_path / "pipe").is_fifo()


def test_all_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """The order of the system's own calls: every file and folder is synced, then renamed."""
    synced = []
    sync, put = os.fsync, atomic.put

    def fsync(handle):
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        sync(handle)

    def rename(new, path, *, overwrite):
        synced.append("renamed")
        put(new, path, overwrite=overwrite)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(atomic, "put", rename)
    with replacing(tmp_path / "it") as new:
        (new / "deep").mkdir(parents=True)
        (new / "deep" / "a").write_text("a")
        (new / "b").write_text("b")
    assert sorted(synced[:4]) == ["a", "b", "deep", "new"]
    assert synced[4:] == ["renamed", tmp_path.name]


def test_a_draft_is_a_folder_of_ones_own(tmp_path):
    with drafting(tmp_path / "it") as draft:
        assert draft.parent == tmp_path
        assert draft.stat().st_mode & 0o077 == 0
    assert names(tmp_path) == []
