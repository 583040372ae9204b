"""What a folder holds, in a form that shows whether it is still the same."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["difference", "file_digest", "snapshot"]


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def snapshot(root: Path) -> dict[str, str]:
    """Returns each file and link below ``root``: path to digest, or ``-> target`` of a link."""
    digests: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = root / folder / name
            if path.is_symlink():
                digests[path.relative_to(root).as_posix()] = f"-> {os.readlink(path)}"  # noqa: PTH115
            elif name in files:
                digests[path.relative_to(root).as_posix()] = file_digest(path)
    return dict(sorted(digests.items()))


def difference(root: Path, expected: dict[str, str]) -> str | None:
    """Returns the first path below ``root`` that is not as expected; None where all are.

    Bytecode that Python added is no difference.
    """
    actual = snapshot(root)
    for path, digest in expected.items():
        if actual.pop(path, "") != digest:
            return path
    return next((path for path in actual if "/__pycache__/" not in path), None)
