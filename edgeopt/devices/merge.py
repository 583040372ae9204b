"""Moves freshly installed distributions into a folder that may hold others."""

from __future__ import annotations

import csv
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["merge_installed"]


def merge_installed(new: Path, into: Path) -> None:
    """Moves all of ``new`` into ``into``; other versions of the same distributions leave it.

    Both must be on one file system. Packages that share a folder (``google``) keep sharing it.

    Raises:
        DeviceError: The system did not let it be written.
    """
    try:
        if not into.exists():
            new.rename(into)
            return
        coming = {_distribution(info) for info in new.glob("*.dist-info")}
        for info in into.glob("*.dist-info"):
            if _distribution(info) in coming:
                _uninstall(info, into)
        for folder, _, names in os.walk(new):
            target = into / os.path.relpath(folder, new)
            target.mkdir(exist_ok=True)
            for name in names:
                os.replace(os.path.join(folder, name), target / name)  # noqa: PTH105, PTH118
    except OSError as error:
        raise DeviceError(f"cannot be written: {error}", where=str(into)) from error


def _distribution(info: Path) -> str:
    """Returns the normalized name of the distribution whose ``.dist-info`` folder this is."""
    return re.sub(r"[-_.]+", "-", info.name.split("-")[0]).lower()


def _uninstall(info: Path, root: Path) -> None:
    """Removes the files that a distribution says are its own, and the folders that are then empty."""
    with suppress(FileNotFoundError):
        text = (info / "RECORD").read_text(encoding="utf-8")
        files = [root / row[0] for row in csv.reader(text.splitlines()) if row]
        inside = root.resolve()
        own = [file for file in files if file.resolve().is_relative_to(inside)]
        for file in own:
            file.unlink(missing_ok=True)
        for folder in sorted({p for f in own for p in f.parents}, key=lambda p: -len(p.parts)):
            if folder.is_relative_to(root) and folder != root:
                _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    for cached in folder.glob("__pycache__/*"):
        source = folder / f"{cached.name.split('.')[0]}.py"
        if not source.exists():
            cached.unlink()
    for empty in (folder / "__pycache__", folder):
        with suppress(OSError):  # not empty, or not there
            empty.rmdir()
