"""A kill or a full disk in the middle of writing: nothing half-written is ever loadable."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeopt.bundles import read_bundle
from edgeopt.errors import BundleError, EdgeoptError
from edgeopt.testing.toy import toy_artifact

pytestmark = pytest.mark.slow

WRITER = """
import os, signal, sys
from edgeopt.bundles import write_bundle
from edgeopt.testing.toy import toy_artifact, toy_golden, toy_runtime, toy_target

path, call, number, overwrite = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "True"
count = 0

def watch(event, args):
    global count
    if event == call and (event != "open" or ".draft" in str(args[0])):
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
artifact = toy_artifact(factor=3.0)
write_bundle(artifact, toy_runtime(), toy_target(), path=path, golden=toy_golden(artifact),
             overwrite=overwrite)
"""


def write_and_die(path: Path, event: str, number: int, *, overwrite: bool = False) -> int:
    """Runs the writer, killed at the ``number``-th system call of that kind."""
    command = [sys.executable, "-c", WRITER, str(path), event, str(number), str(overwrite)]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode


POINTS = [
    ("open", 1),
    ("open", 7),
    ("open", 18),
    ("os.chmod", 1),
    ("os.chmod", 18),
    ("os.rename", 1),
]


@pytest.mark.parametrize(("event", "number"), POINTS)
@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_killed(tmp_path, name, event, number):
    path = tmp_path / name
    code = write_and_die(path, event, number)
    if code == 0:  # a zip opens fewer files
        assert name == "toy.zip"
        read_bundle(path)
        return
    assert code == -signal.SIGKILL
    assert not os.path.lexists(path)
    for left in tmp_path.rglob("new"):  # the draft, if whole, is whole
        try:
            read_bundle(left)
        except EdgeoptError:
            continue
        assert event != "open" or name == "toy.zip"  # that is opened to be read back
    assert write_and_die(path, "none", 0) == 0
    read_bundle(path)


@pytest.mark.parametrize(("event", "number"), POINTS)
@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_killed_while_overwriting(make, name, event, number):
    old = make(name, artifact=toy_artifact(factor=2.0))
    code = write_and_die(old.path, event, number, overwrite=True)
    assert code in {0, -signal.SIGKILL}
    factor = read_bundle(old.path).read("model/model.json")
    assert factor == (b'{"factor": 3.0}' if code == 0 else b'{"factor": 2.0}')


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
@pytest.mark.parametrize("limit", [100, 2000, 5000])
def test_file_size_limit(tmp_path, name, limit):
    """The kernel itself refuses to write on."""
    path = tmp_path / name
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n" + WRITER
    )
    command = [sys.executable, "-c", code, str(path), "none", "0", "False"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "BundleError" in done.stderr
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_full_disk(tmp_path, make, name, overwrite):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        if overwrite:
            make(f"disk/{name}", golden=None)
        before = sorted(p.name for p in disk.iterdir())
        (disk / "fill").write_bytes(b"\0" * ((os.statvfs(disk).f_bavail - 2) * 4096))
        with pytest.raises(BundleError, match="No space left"):
            make(f"disk/{name}", overwrite=overwrite)
        assert sorted(p.name for p in disk.iterdir()) == sorted([*before, "fill"])
        if overwrite:
            read_bundle(disk / name)
    finally:
        subprocess.run([shutil.which("umount"), str(disk)], check=True)


def test_a_rename_that_fails_leaves_the_old(make, monkeypatch, tmp_path):
    make()
    monkeypatch.setattr("edgeopt.files.atomic._exchange", lambda *_: False)
    real = Path.rename

    def rename(self, other):
        if self.name == "new":
            raise OSError(5, "Input/output error")
        return real(self, other)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(BundleError, match="Input/output error"):
        make(artifact=toy_artifact(factor=3.0), overwrite=True)
    assert read_bundle(tmp_path / "toy").read("model/model.json") == b'{"factor": 2.0}'
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("name", ["toy", "toy.zip"])
def test_two_writers_at_once(tmp_path, name):
    """One wins, the others are told; what lies there is whole."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / name), "none", "0", "False"]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running].count(0) == 1
    assert all(b"lies there" in text or not text for text in errors)
    read_bundle(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_above_are_made_and_a_file_above_is_an_error(make, tmp_path):
    make("a/b/toy")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BundleError, match="cannot be written"):
        make("file/toy")
