"""Executable to library: kernels to machine code, values to memory, all of it to one file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.errors import CompileError
from edgeopt.progress import report_progress
from edgeopt_tvm.c_tables import constants_blob, table_source
from edgeopt_tvm.linking import Parts, link_library, link_program, zig_target
from edgeopt_tvm.validity import check_executable

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

    Schedule = Callable[[Any, Machine], Any]

__all__ = ["build_library", "build_program", "generate", "kernels_object"]


def build_library(
    executable: Executable,
    machine: Machine,
    *,
    schedule: Schedule | None = None,
) -> bytes:
    """Returns ``model.so``; the same executable and machine give the same bytes.

    Args:
        executable: The model.
        machine: What it shall run on.
        schedule: Returns a kernel's PrimFunc ready for code generation; None where they all are.

    Raises:
        TargetError: There is no compiler for the machine.
        PluginError: zig is not installed.
        CompileError: The executable is not whole, or a tool failed on it.
    """
    parts = generate(executable, machine, schedule=schedule)
    library = link_library(parts, machine)
    report_progress("link", 1, 1)
    return library


def build_program(
    executable: Executable,
    machine: Machine,
    *,
    schedule: Schedule | None = None,
) -> bytes:
    """Returns a program that runs the model on files and needs no library, not even libc.

    The arguments and errors are those of `build_library`.
    """
    parts = generate(executable, machine, schedule=schedule)
    program = link_program(parts, machine)
    report_progress("link", 1, 1)
    return program


def generate(
    executable: Executable,
    machine: Machine,
    *,
    schedule: Schedule | None = None,
) -> Parts:
    """Returns what `link_library` and `link_program` make a library and a program of.

    The arguments and errors are those of `build_library`.
    """
    zig_target(machine)  # before any work
    check_executable(executable)
    constants, offsets = constants_blob(executable)
    kernels = kernels_object(executable.module, machine, schedule=schedule)
    return Parts(kernels, table_source(executable, machine, offsets), constants)


def kernels_object(
    module: Any,
    machine: Machine,
    *,
    schedule: Schedule | None = None,
) -> bytes:
    """Returns the object file of all PrimFuncs of ``module``.

    Raises:
        CompileError: TVM failed; the kernel is named where it is known.
    """
    import tvm  # noqa: PLC0415 (the toolchain)

    functions = {}
    total = len(module.functions) + 1
    for done, (variable, function) in enumerate(_sorted(module)):
        ready = function if schedule is None else schedule(function, machine)
        functions[variable.name_hint] = ready.with_attr("global_symbol", variable.name_hint)
        report_progress("kernels", done + 1, total)
    # The runtime passes what `check_executable` found right; checks in kernels would find it again.
    with tvm.transform.PassContext(opt_level=3, config={"tirx.disable_assert": True}):
        try:
            built = tvm.tirx.build(tvm.IRModule(functions), target=machine.tvm_target())
        except Exception as error:  # TVM raises errors of many kinds
            raise CompileError(f"TVM: {_first_words(error)}", where=machine.triple) from error
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        path = Path(folder) / "kernels.o"
        built.write_to_file(str(path), "o")
        report_progress("kernels", total, total)
        return path.read_bytes()


def _sorted(module: Any) -> list[tuple[Any, Any]]:
    return sorted(module.functions.items(), key=lambda item: str(item[0].name_hint))


def _first_words(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:500]
