"""Builds the firmware that serves a model, from a bundle's own files, with zig's C compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import util
from typing import Any, NamedTuple

from .elf import Sizes, sizes
from .errors import BoardError
from .linker import linker_script

__all__ = ["Layout", "build"]

_SHARED = ("main.c", "serve.c", "frames.c", "memory.c")
_FLAGS = (
    "-std=c11", "-Os", "-ffreestanding", "-fno-builtin", "-ffp-contract=off",
    "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections",
)  # fmt: skip
_LIMIT_S = 300
_KIB = 1024


class Layout(NamedTuple):
    """A memory map, and what is compiled for it.

    Attributes:
        flash: Address and bytes.
        ram: Address and bytes.
        sources: Files of the firmware for the board, paths.
        defines: Definitions for the compiler.
        vectors: Where the core looks for its vectors, if not at the beginning of ``flash``.
        folders: Where further headers lie.
        arena: Address and bytes of what holds the arena, if not ``ram``.
    """

    flash: tuple[int, int]
    ram: tuple[int, int]
    sources: tuple[str, ...]
    defines: tuple[str, ...] = ()
    vectors: int | None = None
    folders: tuple[str, ...] = ()
    arena: tuple[int, int] | None = None


def build(folder: str, metadata: dict[str, Any], layout: Layout, into: str) -> tuple[str, Sizes]:
    """Returns the program's path and sizes.

    Args:
        folder: Where the artefact lies: ``libmodel.a``, ``src/`` and ``firmware/``.
        metadata: The artefact's.
        layout: Where it is to run.
        into: Folder for what is made.

    Raises:
        BoardError: There is no compiler, it fails, or the program is too large for the target.
    """
    script, program = os.path.join(into, "firmware.ld"), os.path.join(into, "firmware.elf")
    board = metadata["board"]
    with open(script, "w", encoding="ascii") as stream:
        stream.write(
            linker_script(
                layout.flash,
                layout.ram,
                stack=board["stack_bytes"],
                vectors=layout.vectors,
                arena=layout.arena,
            )
        )
    firmware = os.path.join(folder, "firmware")
    sources = [*(os.path.join(firmware, name) for name in _SHARED), *layout.sources]
    headers = [firmware, os.path.join(folder, "src"), *layout.folders]
    words = [
        *("-target", board["zig_triple"], f"-mcpu={board['zig_cpu']}"),
        *_FLAGS,
        f"-DSERVED_MODEL={metadata['model']}_model",
        *_selftest(folder, metadata["model"]),
        *(f"-D{define}" for define in layout.defines),
        *(f"-I{path}" for path in headers),
        *("-T", script, "-o", program, *sources, os.path.join(folder, "libmodel.a")),
    ]
    _compile(words, into, board)
    usage = sizes(program, ram=layout.ram)
    _check(usage, metadata, layout)
    return program, usage


def _selftest(folder: str, name: str) -> list[str]:
    there = os.path.exists(os.path.join(folder, "src", f"{name}_selftest.h"))
    return [f"-DSERVED_SELFTEST={name}_selftest"] if there else []


def _compile(words: list[str], into: str, board: dict[str, Any]) -> None:
    """Links without zig's compiler-rt first: building that takes many seconds, once for each core."""
    if util.find_spec("ziglang") is None:
        what = "the firmware cannot be built: ziglang is not installed"
        raise BoardError(what, "pip install ziglang")
    text = _zig(["-nostdlib", *words], into)
    if "undefined symbol: __" in text:  # a division on a core without that instruction
        text = _zig(words, into)
    if "will not fit in region" in text or "exceeds available address space" in text:
        raise BoardError(f"the program does not fit {board['target']}: {text[-1000:]}", _SMALLER)
    if text:
        raise BoardError(f"the firmware cannot be built: {text[-2000:]}", "is the board's C right?")


def _zig(words: list[str], into: str) -> str:
    """Returns what the compiler complains of; nothing where it is content."""
    command = [sys.executable, "-m", "ziglang", "cc", *words]
    try:
        done = subprocess.run(command, cwd=into, capture_output=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.decode("utf-8", "replace") or "it failed" if done.returncode else ""


_SMALLER = "a smaller model, or `edgeopt prune` and `search` with a limit of flash and RAM"


def _check(made: Sizes, metadata: dict[str, Any], layout: Layout) -> None:
    """Refuses a program that the target would not hold, however much its emulator has."""
    board, arena = metadata["board"], metadata["arena_bytes"]
    own = layout.arena if layout.arena and layout.arena != layout.ram else None
    for what, has, limit in (
        ("flash", made.flash, board["flash_bytes"]),
        ("RAM", made.ram + arena, board["ram_bytes"]),
        ("RAM in one piece", arena, own[1] if own else board["ram_bytes"]),
    ):
        if has > limit:
            size = f"{has / _KIB:.1f} KiB of {what}, {board['target']} has {limit / _KIB:.1f}"
            raise BoardError(f"the program needs {size} KiB", _SMALLER)
