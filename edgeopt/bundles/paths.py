"""Which file names a bundle may hold: portable, contained, and each only once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeopt.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_FILES", "MAX_TOTAL_BYTES", "check_names"]

MAX_FILES = 4096
MAX_TOTAL_BYTES = 16 << 30
_MAX_LENGTH = 200
_MAX_DEPTH = 8
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@=-]*", re.ASCII)
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def check_names(names: Iterable[str]) -> None:
    """Checks that ``names`` can be the files of a bundle on any system.

    Raises:
        BundleError: A name is absolute, climbs out, has a backslash or another odd character, is a
            device's, is there twice but for case, or is a folder of another; or there are too many.
    """
    originals: dict[str, str] = {}
    for count, name in enumerate(names, 1):
        wrong = "more files than a bundle may hold" if count > MAX_FILES else _fault(name)
        if not wrong and name.casefold() in originals:
            wrong = f"the same name as {originals[name.casefold()]!r}"
        if wrong:
            raise BundleError(wrong, where=repr(name))
        originals[name.casefold()] = name
    for folded, name in originals.items():
        parents = folded.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if "/".join(parents[:depth]) in originals:
                raise BundleError("a file and a folder of one name", where=repr(name))


def _fault(name: str) -> str:
    """Returns what is wrong with one name, or ''."""
    parts = name.split("/")
    if len(name) > _MAX_LENGTH or len(parts) > _MAX_DEPTH:
        return "a path that is too long"
    if name.startswith("/") or ".." in parts:
        return "a path that leads out of the bundle"
    for part in parts:
        if not _PART.fullmatch(part) or part.endswith("."):
            return "a path with a part that is empty, hidden or not portable"
        if _DEVICE.fullmatch(part):
            return "a name that some systems keep for a device"
    return ""
