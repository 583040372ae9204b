"""Compiles C for a core, or for this machine: with zig's clang, which needs nothing installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.files import temporary_folder
from edgeopt.lowering.zig import run_zig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt_micro.core import Core

__all__ = ["FLAGS", "archive", "compiled", "core_flags"]

FLAGS = (
    *("-std=c11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-ffp-contract=off"),
    *("-ffunction-sections", "-fdata-sections", "-fno-sanitize=all", "-fno-ident", "-g0"),
)
"""What all C of a model is compiled with; a contracted multiply-add would round otherwise than the reference."""
WHERE = "the model's C source"


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
        run_zig(["cc", *words, "-o", wanted], folder, WHERE)
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
        for source, target in zip(names, objects, strict=True):  # zig keeps the last of several
            run_zig(["cc", *core_flags(core), *FLAGS, "-c", source, "-o", target], folder, WHERE)
        run_zig(["ar", "rcsD", "libmodel.a", *objects], folder, WHERE)
        return (folder / "libmodel.a").read_bytes()


def _put(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
