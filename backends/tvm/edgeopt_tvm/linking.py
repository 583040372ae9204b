"""Links a model for its machine: with zig's compiler, which brings every C library along."""

from __future__ import annotations

import os
import subprocess
import tempfile
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeopt.devices.cache import cache_folder
from edgeopt.errors import CompileError, PluginError, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeopt_tvm.machine import Machine

__all__ = ["Parts", "link_library", "link_program", "zig_target"]

_LIBC = {
    "aarch64": ("aarch64-linux-gnu", "aarch64-linux-musl", (2, 17)),
    "armv7": ("arm-linux-gnueabihf", "arm-linux-musleabihf", (2, 17)),
    "riscv64": ("riscv64-linux-gnu", "riscv64-linux-musl", (2, 27)),
    "x86_64": ("x86_64-linux-gnu", "x86_64-linux-musl", (2, 17)),
}
"""Our name of an architecture to zig's triples with glibc and musl, and its oldest glibc."""
_NEWEST = (2, 41)
"""The newest glibc that is linked for; a newer one runs what was linked for it."""
_RUNTIME = ("model.c", "pool.c", "table.c", "constants.S")
_PROGRAM = ("run.c", "npy.c", "options.c", "measure.c")
_COMPILE = (
    *("-std=c11", "-O2", "-Wall", "-fvisibility=hidden", "-ffunction-sections", "-fPIC"),
    *("-fno-sanitize=all", "-fno-ident"),
)
_LINK = ("-s", "-Wl,--build-id=none", "-Wl,--gc-sections", "-lm", "-lpthread")
_TIMEOUT_S = 600


class Parts(msgspec.Struct, frozen=True):
    """What a model is linked from.

    Attributes:
        kernels: Object file of the kernels.
        table: C source of its tables.
        constants: Content of its constants.
    """

    kernels: bytes
    table: str
    constants: bytes


def link_library(parts: Parts, machine: Machine) -> bytes:
    """Returns ``model.so``, which needs nothing but the C library of ``machine``.

    Raises:
        TargetError: zig has no C library for the machine.
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    options = ["-shared", "-Wl,-soname,model.so", "-Wl,--version-script=exports.map"]
    return _link(parts, zig_target(machine), [*options, *_RUNTIME], "model.so")


def link_program(parts: Parts, machine: Machine) -> bytes:
    """Returns a program that holds the model and needs nothing but a kernel of Linux.

    Raises:
        TargetError: zig has no C library for the machine.
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    target = zig_target(machine, static=True)
    return _link(parts, target, ["-static", *_RUNTIME, *_PROGRAM], "run")


def zig_target(machine: Machine, *, static: bool = False) -> str:
    """Returns zig's name of what is linked for, for example ``aarch64-linux-gnu.2.31``.

    Where the machine's C library is not glibc, or ``static`` asks for it, that is musl.

    Raises:
        TargetError: zig has no C library for the machine.
    """
    known = _LIBC.get(machine.arch)
    if known is None or "linux" not in machine.triple:
        what = f"there is no compiler for {machine.triple}"
        raise TargetError(what, where=machine.arch, hint=f"there are some for {', '.join(_LIBC)}")
    glibc, musl, oldest = known
    if static or not machine.glibc:
        return musl
    version = tuple(int(part) for part in machine.glibc.split(".")[:2])
    if version < oldest:
        what = f"glibc {machine.glibc} is older than what is linked for"
        hint = f"{machine.arch} needs {'.'.join(map(str, oldest))} or newer"
        raise TargetError(what, where=machine.triple, hint=hint)
    return f"{glibc}.{'.'.join(map(str, min(version, _NEWEST)))}"


def _link(parts: Parts, target: str, words: Sequence[str], name: str) -> bytes:
    zig = _zig()
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as scratch:
        folder = Path(scratch)
        for file in resources.files("edgeopt_tvm.native").iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
        (folder / "kernels.o").write_bytes(parts.kernels)
        (folder / "table.c").write_text(parts.table, encoding="ascii")
        (folder / "constants.bin").write_bytes(parts.constants)
        command = [zig, "cc", "-target", target, *_COMPILE, *words, "kernels.o", *_LINK, "-o", name]
        _run(command, folder, target)
        return (folder / name).read_bytes()


def _zig() -> str:
    spec = find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        hint = "pip install ziglang"
        raise PluginError("the linker zig is not installed", where="tvm", hint=hint)
    return os.fspath(Path(spec.submodule_search_locations[0]) / "zig")


def _run(command: Sequence[str], folder: Path, target: str) -> None:
    """Runs zig in ``folder``: paths within it are relative, and none gets into what is made."""
    cache = cache_folder() / "zig"
    env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    try:
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileError(f"zig could not be run: {error}", where=target) from error
    if done.returncode != 0:
        said = done.stderr.strip()[-2000:] or f"status {done.returncode}"
        raise CompileError(f"the model cannot be linked: {said}", where=target)
