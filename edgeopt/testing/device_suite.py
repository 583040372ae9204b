"""What the suites for devices share: the device, a folder on it, and what lies there."""

from __future__ import annotations

import hashlib
import json
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath

    from edgeopt.contracts import Device

__all__ = ["DeviceSuite", "content", "remote_content", "remote_names", "sample_folder"]


class DeviceSuite:
    """The fixtures; a suite is a subclass."""

    @pytest.fixture
    def device(self) -> Device:
        """Returns the device under test; the subclass gives it."""
        raise NotImplementedError("give a fixture `device`")

    @pytest.fixture
    def room(self, device: Device, request: pytest.FixtureRequest) -> PurePosixPath:
        """Returns a folder on the device that this test has to itself."""
        name = hashlib.sha256(f"{request.node.nodeid}{time.time()}".encode()).hexdigest()[:12]
        folder = device.workdir() / f"conformance-{name}"
        process = device.run(["python3", "-c", f"import os; os.makedirs({str(folder)!r})"])
        assert process.returncode == 0, process.stderr
        return folder


def sample_folder(folder: Path) -> Path:
    """Returns ``folder``, made, with files and folders of all kinds in it."""
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a" / "b" / "deep.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "a" / "nothing").write_bytes(b"")
    (folder / "ünï 'quoted' $(x).txt").write_text("text")
    (folder / ".hidden").write_text("hidden")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Returns path to content of all files below a folder."""
    files = (path for path in folder.rglob("*") if stat.S_ISREG(path.stat().st_mode))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def remote_names(device: Device, folder: PurePosixPath) -> list[str]:
    """Returns what lies in a folder of the device, hidden names too."""
    code = "import json, os, sys; print(json.dumps(sorted(os.listdir(sys.argv[1]))))"
    process = device.run(["python3", "-c", code, str(folder)])
    assert process.returncode == 0, process.stderr
    names: list[Any] = json.loads(process.stdout)
    return [name for name in names if name != "__pycache__"]


def remote_content(device: Device, remote: PurePosixPath, tmp_path: Path) -> bytes:
    """Returns what a file on the device holds."""
    device.pull(remote, tmp_path / "read-back")
    return (tmp_path / "read-back").read_bytes()
