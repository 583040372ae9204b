"""What every device must do with files, as tests: part of `DeviceConformance`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edgeopt.errors import DeviceError
from edgeopt.testing.device_suite import (
    DeviceSuite,
    content,
    remote_content,
    remote_names,
    sample_folder,
)

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

    from edgeopt.contracts import Device

__all__ = ["FileConformance"]


class FileConformance(DeviceSuite):
    """Files and folders arrive and come back whole, or not at all."""

    def test_a_file_comes_back_as_it_was(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        content = bytes(range(256)) * 500
        (tmp_path / "there").write_bytes(content)
        device.push(tmp_path / "there", room / "deep" / "er" / "file with spaces 'n quotes.bin")
        device.pull(room / "deep" / "er" / "file with spaces 'n quotes.bin", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content

    def test_a_folder_comes_back_as_it_was(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        there = sample_folder(tmp_path / "there")
        device.push(there, room / "folder")
        device.pull(room / "folder", tmp_path / "back")
        assert content(tmp_path / "back") == content(there)
        assert (tmp_path / "back" / "empty").is_dir()

    def test_a_program_stays_one(self, device: Device, room: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "tool").write_bytes(b"#!/bin/sh\n")
        (tmp_path / "tool").chmod(0o755)
        device.push(tmp_path / "tool", room / "tool")
        code = "import os, sys; print(os.access(sys.argv[1], os.X_OK))"
        assert device.run(["python3", "-c", code, str(room / "tool")]).stdout == "True\n"

    def test_a_file_is_overwritten(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        for text in ("a longer one that came first", "short"):
            (tmp_path / "file").write_text(text)
            device.push(tmp_path / "file", room / "file")
        assert remote_content(device, room / "file", tmp_path) == b"short"

    def test_a_folder_is_replaced_as_a_whole(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        device.push(sample_folder(tmp_path / "old"), room / "folder")
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "only").write_text("this")
        device.push(tmp_path / "new", room / "folder")
        device.pull(room / "folder", tmp_path / "back")
        assert content(tmp_path / "back") == {"only": b"this"}
        assert remote_names(device, room) == ["folder"]

    def test_pull_replaces_too(self, device: Device, room: PurePosixPath, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("new")
        device.push(tmp_path / "file", room / "file")
        (tmp_path / "back").write_text("something older and longer")
        device.pull(room / "file", tmp_path / "back")
        assert (tmp_path / "back").read_text() == "new"

    def test_a_relative_path_is_within_the_workdir(self, device: Device, tmp_path: Path) -> None:
        from pathlib import PurePosixPath  # noqa: PLC0415 (the fixtures give absolute ones)

        (tmp_path / "file").write_text("here")
        device.push(tmp_path / "file", PurePosixPath("conformance-relative"))
        place = device.workdir() / "conformance-relative"
        assert remote_content(device, place, tmp_path) == b"here"
        assert device.run(["python3", "-c", "import os; print(os.getcwd())"]).stdout.strip() == str(
            device.workdir()
        )

    def test_what_is_not_there_cannot_be_pushed(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        with pytest.raises(DeviceError, match="missing-file"):
            device.push(tmp_path / "missing-file", room / "file")
        assert remote_names(device, room) == []

    def test_what_is_not_there_cannot_be_pulled(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        with pytest.raises(DeviceError, match="missing-file"):
            device.pull(room / "missing-file", tmp_path / "back")
        assert not (tmp_path / "back").exists()

    def test_a_push_that_fails_leaves_nothing_half_written(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        bad = sample_folder(tmp_path / "bad")
        os.mkfifo(bad / "zz-pipe")  # the last one cannot be copied
        with pytest.raises(DeviceError):
            device.push(bad, room / "folder")
        assert remote_names(device, room) == []

    def test_a_push_that_fails_keeps_what_was_there(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        good, bad = sample_folder(tmp_path / "good"), sample_folder(tmp_path / "bad")
        device.push(good, room / "folder")
        os.mkfifo(bad / "zz-pipe")
        with pytest.raises(DeviceError):
            device.push(bad, room / "folder")
        device.pull(room / "folder", tmp_path / "back")
        assert content(tmp_path / "back") == content(good)
        assert remote_names(device, room) == ["folder"]

    def test_a_file_cannot_be_a_folder_of_others(
        self, device: Device, room: PurePosixPath, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("text")
        device.push(tmp_path / "file", room / "file")
        with pytest.raises(DeviceError):
            device.push(tmp_path / "file", room / "file" / "below")
        assert remote_content(device, room / "file", tmp_path) == b"text"
