"""Puts a bundle's firmware on a board: built for it with the user's sources, flashed by the user's tool."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import Any

from .errors import BoardError
from .firmware import Layout, build

__all__ = ["FLASH", "flash"]

FLASH = "EDGEOPT_FLASH"
_SOURCES = "EDGEOPT_BOARD_SOURCES"
_EXAMPLE = f"{FLASH}='pyocd flash {{elf}}'"
_LIMIT_S = 300


def flash(folder: str, metadata: dict[str, Any]) -> None:
    """Builds the firmware and runs the command that the environment names.

    The command is split into words as a shell does, and run without one; ``{elf}`` is the program.

    Args:
        folder: Where the artefact lies.
        metadata: The artefact's.

    Raises:
        BoardError: It cannot be built, or the tool fails.
    """
    words = shlex.split(os.environ[FLASH])
    if not any("{elf}" in word for word in words):
        raise BoardError(f"{FLASH} does not name {{elf}}", _EXAMPLE)
    with tempfile.TemporaryDirectory(prefix="edgeopt-board-") as into:
        elf, _ = build(folder, metadata, _layout(metadata["board"]), into)
        _run([word.replace("{elf}", elf) for word in words])


def _layout(board: dict[str, Any]) -> Layout:
    own = os.environ.get(_SOURCES, "")
    files = sorted(os.listdir(own)) if os.path.isdir(own) else []
    sources = tuple(os.path.join(own, name) for name in files if name.endswith((".c", ".S")))
    if not sources:
        what = f"{_SOURCES} is {own!r}, a folder without C files"
        raise BoardError(what, "docs/boards.md says what belongs there")
    places = (board["flash"], board["ram"], board.get("arena", board["ram"]))
    flash, ram, arena = ((int(start), int(size)) for start, size in places)
    return Layout(flash, ram, sources, folders=(own,), arena=arena)


def _run(words: list[str]) -> None:
    shown = " ".join(words)
    try:
        done = subprocess.run(words, capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BoardError(f"`{shown}` failed: {error}", _EXAMPLE) from error
    if done.returncode:
        text = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-1000:]
        what = f"`{shown}` ended with status {done.returncode}: {text}"
        raise BoardError(what, "is the board plugged in, and in the mode that the tool wants?")
