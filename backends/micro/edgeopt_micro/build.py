"""Compiles C for a core, or for this machine: with zig's clang, which needs nothing installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.errors import CompileError, PluginError
from edgeopt.files import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt_micro.core import Core

__all__ = ["FLAGS", "archive", "compiled", "core_flags", "zig"]

FLAGS = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-ffp-contract=off"),
    *("-ffunction-sections", "-fdata-sections", "-fno-sanitize=all", "-fno-ident", "-g0"),
)
"""What all C of a model is compiled with; a contracted multiply-add would round otherwise than the reference."""
_TIMEOUT_S = 600


def core_flags(core: Core) -> tuple[str, ...]:
    """Returns zig's words for a core; none for this machine."""
    if not core.triple:
        return ()
    return ("-target", core.triple, f"-mcpu={core.cpu}", "-ffreestanding")


def compiled(files: Mapping[str, bytes], words: Sequence[str], wanted: str) -> bytes:
    """Returns the file ``wanted`` that ``zig cc words`` makes in a folder with ``files``.

    Raises:
        PluginError: zig is not installed.
        CompileError: It does not compile.
    """
    with temporary_folder() as folder:
        _put(folder, files)
        zig(["cc", *words, "-o", wanted], folder)
        return (folder / wanted).read_bytes()


def archive(files: Mapping[str, bytes], core: Core) -> bytes:
    """Returns the static library of all C files among ``files``, the same bytes each time.

    Raises:
        PluginError: zig is not installed.
        CompileError: It does not compile.
    """
    with temporary_folder() as folder:
        _put(folder, files)
        names = sorted(name for name in files if name.endswith((".c", ".S")))
        objects = [f"{Path(name).stem}.o" for name in names]
        for source, target in zip(
            names, objects, strict=True
        ):  # of several zig writes the last only
            zig(["cc", *core_flags(core), *FLAGS, "-c", source, "-o", target], folder)
        zig(["ar", "rcsD", "libmodel.a", *objects], folder)
        return (folder / "libmodel.a").read_bytes()


def zig(words: Sequence[str], folder: Path) -> None:
    """Runs zig in ``folder``.

    Raises:
        PluginError: zig is not installed.
        CompileError: It failed; with what it said.
    """
    if find_spec("ziglang") is None:
        raise PluginError("zig is not installed", hint="pip install ziglang")
    command = [sys.executable, "-m", "ziglang", *words]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [
            done.stderr[-500:]
        ]
        raise CompileError(f"zig failed: {lines[0].strip()}", where="the model's C source")


def _put(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
