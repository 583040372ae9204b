"""What of a model goes onto a device: the library, and a program for those without Python."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import DeviceRuntime
from edgeopt.progress import report_progress
from edgeopt_tvm.library import generate
from edgeopt_tvm.linking import link_library, link_program, link_runner
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.wheels import runtime_wheels

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Target
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

__all__ = ["LIBRARY", "PROGRAM", "device_runtime", "entry_of", "model_files"]

LIBRARY = "model.so"
PROGRAM = "run"


def model_files(
    executable: Executable,
    target: Target,
    *,
    schedule: Callable[[Any, Machine], Any] | None = None,
) -> dict[str, bytes]:
    """Returns the files of an artefact: name to content.

    ``model.so`` and beside it ``run``, a small program that uses it. A device without Python, or
    with another C library than glibc, gets one static program ``run`` that holds all of it.

    Args:
        executable: The model.
        target: The device.
        schedule: As for `build_library`.

    Raises:
        TargetError: There is no compiler for the device.
        PluginError: zig is not installed.
        CompileError: A tool failed.
    """
    machine = machine_of(target)
    parts = generate(executable, machine, schedule=schedule)
    if entry_of(target) == PROGRAM:
        files = {PROGRAM: link_program(parts, machine)}
    else:
        library = link_library(parts, machine)
        files = {LIBRARY: library, PROGRAM: link_runner(library, machine)}
    report_progress("link", 1, 1)
    return files


def entry_of(target: Target) -> str:
    """Returns the name of the file that a runner on ``target`` opens."""
    return LIBRARY if target.os.python and target.os.glibc else PROGRAM


def device_runtime(target: Target) -> DeviceRuntime:
    """Returns what must be on ``target``: numpy for run.py where it has one, else nothing.

    Raises:
        TargetError: The device has a Python for which no numpy exists.
    """
    wheels, notes = runtime_wheels(target)
    source = resources.files("edgeopt_tvm.device").joinpath("runtime.py")
    return DeviceRuntime("edgeopt-tvm", wheels, source.read_text(encoding="utf-8"), notes=notes)
