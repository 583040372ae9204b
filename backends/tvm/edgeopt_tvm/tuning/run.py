"""What `edgeopt tune` asks the backend for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.errors import TargetError
from edgeopt.tuning import TuningDatabase, default_database
from edgeopt_tvm.machine import Machine, machine_of
from edgeopt_tvm.tuning.tasks import tasks_of
from edgeopt_tvm.tuning.templates import KERNELS
from edgeopt_tvm.tuning.tuner import Tuner, check_options
from edgeopt_tvm.tuning.workshop import Workshop

if TYPE_CHECKING:
    from edgeopt.contracts import Device, Progress, Target, TuneOptions, TuningReport, Watch
    from edgeopt.ir import Program

__all__ = ["check_measurable", "measurable_machine", "tune_program"]


def tune_program(
    program: Program,
    target: Target,
    options: TuneOptions,
    *,
    device: Device | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> TuningReport:
    """Returns what came of tuning ``program`` on this machine.

    Raises:
        InputError: An option or the database cannot be used.
        TargetError: The target is another machine.
        CompileError: The toolchain failed.
    """
    from edgeopt_tvm.lowering import lower_program  # noqa: PLC0415 (imports torch)

    check_options(options)
    machine = measurable_machine(target)
    path = Path(options.database) if options.database else default_database()
    with TuningDatabase(path) as database:
        tasks = tasks_of(lower_program(program, machine), machine, KERNELS)
        with Workshop(machine, KERNELS, options) as workshop:
            tuner = Tuner(tasks, workshop, database, options, progress, watch)
            return tuner.run(target=target.name)


def check_measurable(target: Target, device: Device | None = None) -> None:
    """Checks whether kernels for ``target`` can be measured, here or on ``device``.

    Raises:
        TargetError: They cannot; says what to do instead.
    """
    if device is None:
        measurable_machine(target)


def measurable_machine(target: Target) -> Machine:
    """Returns the machine of ``target``, which is this one.

    Raises:
        TargetError: It is another: times measured here would say nothing about it.
    """
    from edgeopt.registry import detect_host  # noqa: PLC0415 (only here)

    machine, here = machine_of(target), machine_of(detect_host())
    if replace(machine, glibc="") == replace(here, glibc=""):
        return machine
    raise TargetError(
        f"kernels for {target.title} cannot be measured on this machine ({here.mcpu or here.arch})",
        where=target.name,
        hint="tune on the device itself with --target host, and merge its database here: "
        "edgeopt tuning merge FILE",
    )
