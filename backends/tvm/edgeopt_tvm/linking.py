"""Links a model for its machine: with zig's compiler, which brings every C library along."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeopt.errors import CompileError, TargetError
from edgeopt.lowering.zig import run_zig
from edgeopt_tvm.bundle_source import plain_facts
from edgeopt_tvm.c_tables import constants_blob, tables_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgeopt_tvm.bundle_source import Facts
    from edgeopt_tvm.machine import Machine

__all__ = ["Parts", "link_library", "link_program", "link_runner", "zig_target"]

_LIBC = {
    "aarch64": ("aarch64-linux-gnu", "aarch64-linux-musl", (2, 17)),
    "armv7": ("arm-linux-gnueabihf", "arm-linux-musleabihf", (2, 17)),
    "riscv64": ("riscv64-linux-gnu", "riscv64-linux-musl", (2, 27)),
    "x86_64": ("x86_64-linux-gnu", "x86_64-linux-musl", (2, 17)),
}
"""Our name of an architecture to zig's triples with glibc and musl, and its oldest glibc."""
_NEWEST = (2, 41)
"""The newest glibc that is linked for; a newer one runs what was linked for it."""
_RUNTIME = ("model.c", "pool.c", "tables.c", "constants.S", "libcalls.c")
_PROGRAM = (
    *("run.c", "options.c", "files.c", "info.c", "measure.c", "facts.c"),
    *("array.c", "npy.c", "image.c", "session.c", "fitting.c", "bundle.c", "states.S"),
    *("answer.c", "view.c", "detect.c", "suppress.c", "masks.c", "segment.c", "tell.c", "draw.c"),
)
_COMPILE = (
    *("-std=c11", "-O2", "-Wall", "-fvisibility=hidden", "-ffunction-sections", "-fPIC"),
    *("-fno-sanitize=all", "-fno-ident"),
)
_SMALL = ("-Os", "-flto", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
"""What the runner is compiled with: what it does not do for this bundle is left out."""
_LINK = ("-s", "-Wl,--build-id=none", "-Wl,--gc-sections", "-lm", "-lpthread")
_TABLE = "table.c"
_DIGEST = "programs-"
"""What stands in front of a library's digest: so it is found in it."""
_DIGEST_LETTERS = 32


class Parts(msgspec.Struct, frozen=True):
    """What programs are linked from; of what they share there is one.

    Attributes:
        kernels: Name of each kernel's code to its object file.
        tables: C source of the tables of each program.
        constants: Name of each constant to its content.
    """

    kernels: Mapping[str, bytes]
    tables: tuple[str, ...]
    constants: Mapping[str, bytes]

    def to_files(self) -> dict[str, bytes]:
        """Returns the parts of one program as files, for `from_files`."""
        return {
            _TABLE: self.tables[0].encode("ascii"),
            **{f"{name}.o": content for name, content in self.kernels.items()},
            **{f"{name}.bin": content for name, content in self.constants.items()},
        }

    @classmethod
    def from_files(cls, programs: Iterable[Mapping[str, bytes]]) -> Parts:
        """Returns the parts of programs, in order."""
        tables: list[str] = []
        kinds: dict[str, dict[str, bytes]] = {"o": {}, "bin": {}}
        for files in programs:
            for file, content in files.items():
                name, _, kind = file.rpartition(".")
                if file == _TABLE:
                    tables.append(content.decode("ascii"))
                else:
                    kinds[kind][name] = content
        return cls(kinds["o"], tuple(tables), kinds["bin"])


def link_library(parts: Parts, machine: Machine) -> bytes:
    """Returns ``model.so``, which needs nothing but the C library of ``machine``.

    Raises:
        TargetError: zig has no C library for the machine.
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    options = ["-shared", "-Wl,-soname,model.so", "-Wl,--version-script=exports.map"]
    files = _files(parts)
    return _link(files, zig_target(machine), [*options, *_RUNTIME, *_made(files)], "model.so")


def link_runner(library: bytes, machine: Machine, facts: Facts | None = None) -> bytes:
    """Returns a small program that runs ``model.so``, which must lie beside it, on files.

    Args:
        library: The library.
        machine: What it shall run on.
        facts: What the bundle says of the programs; None where there is one, in float, and nothing is said
            of it.

    Raises:
        TargetError: zig has no C library for the machine.
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    words = [*_SMALL, *_PROGRAM, "model.so", "-Wl,-rpath,$ORIGIN"]
    files = {"model.so": library, **(facts or plain_facts()).to_files(), **_digest_file(library)}
    return _link(files, zig_target(machine), words, "run")


def link_program(
    parts: Parts, machine: Machine, facts: Facts | None = None, *, static: bool = True
) -> bytes:
    """Returns a program that holds the model itself and needs nothing but Linux, not even libc.

    Args:
        parts: The model.
        machine: What it shall run on.
        facts: As for `link_runner`.
        static: Whether it brings a C library along; False for a program that uses the machine's.

    Raises:
        TargetError: zig has no C library for the machine.
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    outputs = _files(parts)
    words = [*["-static"] * static, *_RUNTIME, *_PROGRAM, *_made(outputs)]
    files = {**outputs, **(facts or plain_facts()).to_files(), **_digest_file(outputs["tables.c"])}
    return _link(files, zig_target(machine, static=static), words, "run")


def zig_target(machine: Machine, *, static: bool = False) -> str:
    """Returns zig's name of what is linked for, for example ``aarch64-linux-gnu.2.31``.

    Where the machine's C library is not glibc, or ``static`` asks for it, that is musl.

    Raises:
        TargetError: zig has no C library for the machine.
    """
    versions = _LIBC.get(machine.arch)
    if versions is None or "linux" not in machine.triple:
        what = f"there is no compiler for {machine.triple}"
        raise TargetError(what, where=machine.arch, hint=f"there are some for {', '.join(_LIBC)}")
    glibc, musl, oldest = versions
    if static or not machine.glibc:
        return musl
    version = tuple(int(part) for part in machine.glibc.split(".")[:2])
    if version < oldest:
        what = f"glibc {machine.glibc} is older than what is linked for"
        hint = f"{machine.arch} needs {'.'.join(map(str, oldest))} or newer"
        raise TargetError(what, where=machine.triple, hint=hint)
    return f"{glibc}.{'.'.join(map(str, min(version, _NEWEST)))}"


def _files(parts: Parts) -> dict[str, bytes]:
    blob, places = constants_blob(parts.constants)
    tables = {
        f"table_{number}.c": f"#define TABLE model_table_{number}\n{table}".encode("ascii")
        for number, table in enumerate(parts.tables)
    }
    files = {
        **tables,
        **{f"{name}.o": parts.kernels[name] for name in sorted(parts.kernels)},
        "constants.h": places.encode("ascii"),
        "constants.bin": blob,
    }
    source = tables_source(len(tables), len(blob), f"{_DIGEST}{_digest(files)}")
    return {**files, "tables.c": source.encode("ascii")}


def _digest(files: Mapping[str, bytes]) -> str:
    each = (f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in files.items())
    return hashlib.sha256("\n".join(each).encode()).hexdigest()[:_DIGEST_LETTERS]


def _digest_file(holder: bytes) -> dict[str, bytes]:
    """Returns the header that tells a runner the digest in ``holder``: which library it belongs to."""
    match = re.search(rb"%s[0-9a-f]{%d}" % (_DIGEST.encode(), _DIGEST_LETTERS), holder)
    if match is None:
        raise CompileError("the library does not say which programs it holds", where="model.so")
    return {"digest.h": b'#define MODEL_DIGEST "%s"\n' % match[0]}


def _made(files: Mapping[str, bytes]) -> list[str]:
    """Returns which of the files are linked beside the runtime's own."""
    return [name for name in files if name.startswith("table_") or name.endswith(".o")]


def _link(files: dict[str, bytes], target: str, words: Sequence[str], name: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as scratch:
        folder = Path(scratch)
        for file, content in {**_sources(), **files}.items():
            (folder / file).write_bytes(content)
        run_zig(["cc", "-target", target, *_COMPILE, *words, *_LINK, "-o", name], folder, target)
        return (folder / name).read_bytes()


def _sources() -> dict[str, bytes]:
    entries = resources.files("edgeopt_tvm.native").iterdir()
    return {file.name: file.read_bytes() for file in entries if file.is_file()}
