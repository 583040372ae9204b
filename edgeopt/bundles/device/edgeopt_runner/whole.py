"""The files of a program, whole: some are stored as their difference from another file of the bundle."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from .bundle import WRONG, Stop, digest, open_plain
from .delta import apply_delta

__all__ = ["model_path"]

_KEPT: list[Any] = []
"""Temporary folders; they go when the process ends."""


def model_path(root: str, view: dict[str, Any]) -> str:
    """Returns the path of the file that the runtime opens; what is stored as a difference is made whole first.

    The whole is written to a temporary folder, which is removed when the program ends.
    """
    entry = os.path.join(root, *view["entry"].split("/"))
    if not view["deltas"]:
        return entry
    folder = tempfile.TemporaryDirectory(prefix="edgeopt-")
    _KEPT.append(folder)
    room = "/".join(view["entry"].split("/")[:2]) + "/"  # programs/1/
    for name in view["files"]:
        if not name.startswith(room):
            continue
        content = _content(root, name)
        if name in view["deltas"]:
            content = _whole(root, name, content, view["deltas"][name])
        path = os.path.join(folder.name, *name[len(room) :].split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
    return os.path.join(folder.name, view["entry"][len(room) :])


def _whole(root: str, name: str, delta: bytes, info: dict[str, Any]) -> bytes:
    """Returns the whole file, of the size and with the digest that the manifest says."""
    content = apply_delta(_content(root, info["base"]), delta)
    if len(content) != info["size_bytes"] or digest(content) != info["sha256"]:
        raise Stop(
            WRONG, f"{name}: made whole, its content does not match its digest", "copy it again"
        )
    return content


def _content(root: str, name: str) -> bytes:
    with open_plain(os.path.join(root, *name.split("/"))) as stream:
        content: bytes = stream.read()
    return content
