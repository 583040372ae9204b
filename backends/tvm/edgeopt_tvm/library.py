"""Executable to library: kernels to machine code, values to memory, all of it to one file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.progress import report_progress
from edgeopt_tvm.c_tables import constant_contents, constant_names, table_source
from edgeopt_tvm.linking import Parts, link_library, link_program, zig_target
from edgeopt_tvm.objects import kernel_objects
from edgeopt_tvm.validity import check_executable

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

    Schedule = Callable[[Any, Machine], Any]

__all__ = ["build_library", "build_program", "generate"]


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
    names = constant_names(executable)
    functions = {v.name_hint: f for v, f in executable.module.functions.items()}
    if schedule is not None:
        functions = {name: schedule(f, machine) for name, f in functions.items()}
    kernels = kernel_objects(functions, machine)
    symbols = {name: kernel.symbol for name, kernel in kernels.items()}
    table = table_source(executable, machine, names, symbols)
    objects = {k.symbol: k.content for k in kernels.values()}
    return Parts(objects, (table,), constant_contents(executable, names))
