from __future__ import annotations

import subprocess
import sys
import time

import pytest

from edgeopt.devices.transfer import copy_whole
from edgeopt.errors import DeviceError


def folder(path, **files):
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def content(path):
    return {file.name: file.read_text() for file in path.iterdir()}


def test_a_folder_takes_the_place_of_a_file_and_back(tmp_path):
    (tmp_path / "file").write_text("file")
    new = folder(tmp_path / "new", a="1")
    target = tmp_path / "target"
    for source in (tmp_path / "file", new, tmp_path / "file"):
        copy_whole(source, target)
        assert target.is_dir() == source.is_dir()
    assert target.read_text() == "file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "new", "target"]


def test_a_link_there_is_replaced_not_followed(tmp_path):
    (tmp_path / "file").write_text("new")
    (tmp_path / "precious").write_text("old")
    (tmp_path / "link").symlink_to("precious")
    copy_whole(tmp_path / "file", tmp_path / "link")
    assert (tmp_path / "precious").read_text() == "old"
    assert (tmp_path / "link").read_text() == "new"


def test_links_to_files_are_followed(tmp_path):
    source = folder(tmp_path / "source", a="text")
    (source / "b").symlink_to("a")
    copy_whole(source, tmp_path / "copy")
    assert content(tmp_path / "copy") == {"a": "text", "b": "text"}
    assert not (tmp_path / "copy" / "b").is_symlink()


@pytest.mark.parametrize("target", [".", "..", "/", "missing"])
def test_links_that_lead_in_circles_or_nowhere_are_refused(tmp_path, target):
    source = folder(tmp_path / "source", a="text")
    (source / "link").symlink_to(target)
    with pytest.raises(DeviceError, match=r"link|No such file"):
        copy_whole(source, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("special", ["/dev/zero", "/dev/null"])
def test_what_never_ends_is_refused(tmp_path, special):
    with pytest.raises(DeviceError, match="neither a file nor a folder"):
        copy_whole(type(tmp_path)(special), tmp_path / "copy")


def test_a_folder_cannot_go_into_itself(tmp_path):
    source = folder(tmp_path / "source", a="text")
    with pytest.raises(DeviceError, match="into itself"):
        copy_whole(source, source / "below" / "copy")
    assert content(source) == {"a": "text"}


def test_a_folder_that_may_not_be_written_is_copied_and_replaced(tmp_path):
    source = folder(tmp_path / "source", a="text")
    source.chmod(0o555)
    for _ in range(2):
        copy_whole(source, tmp_path / "copy")
    assert content(tmp_path / "copy") == {"a": "text"}
    source.chmod(0o755)


def test_a_rename_that_fails_brings_the_old_back(tmp_path, monkeypatch):
    old = folder(tmp_path / "copy", a="old")
    real = type(tmp_path).rename

    def rename(self, target):
        if self.name == "new":
            raise OSError("no more")
        return real(self, target)

    monkeypatch.setattr("edgeopt.files.atomic._exchange", lambda *_: False)
    monkeypatch.setattr(type(tmp_path), "rename", rename)
    with pytest.raises(DeviceError, match="no more"):
        copy_whole(folder(tmp_path / "source", a="new"), old)
    assert content(tmp_path / "copy") == {"a": "old"}


def test_a_kill_in_the_middle_leaves_nothing_under_the_name(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for index in range(200):
        (source / f"{index:03}").write_bytes(bytes(200_000))
    code = f"""
from pathlib import Path
from edgeopt.devices.transfer import copy_whole
print("go", flush=True)
while True:
    copy_whole(Path({str(source)!r}), Path({str(tmp_path / "copy")!r}))
"""
    for delay in (0.0, 0.01, 0.02, 0.05, 0.08):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
        if (tmp_path / "copy").exists():
            assert len(list((tmp_path / "copy").iterdir())) == 200
