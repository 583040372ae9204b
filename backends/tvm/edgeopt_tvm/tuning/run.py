"""What `edgeopt tune` asks the backend for."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgeopt.errors import TargetError
from edgeopt.tuning import TuningDatabase, default_database
from edgeopt_tvm.machine import Machine, machine_of
from edgeopt_tvm.tuning.measurement_worker import MeasurementWorker
from edgeopt_tvm.tuning.remote import serving
from edgeopt_tvm.tuning.tasks import tasks_of
from edgeopt_tvm.tuning.templates import KERNELS
from edgeopt_tvm.tuning.tuner import Tuner, check_options

if TYPE_CHECKING:
    from edgeopt.contracts import Device, Target, TuningReport, Watch
    from edgeopt.ir import Program
    from edgeopt.options import TuneOptions

__all__ = ["check_measurable", "measurable_machine", "tune_program"]


def tune_program(
    program: Program,
    target: Target,
    options: TuneOptions,
    *,
    device: Device | None = None,
    watch: Watch | None = None,
) -> TuningReport:
    """Returns what came of tuning ``program`` on this machine, or on ``device``.

    Raises:
        InputError: An option or the database cannot be used.
        TargetError: The target is another machine, and no device was given.
        DeviceError: The device cannot be reached or prepared.
        CompileError: The toolchain failed.
    """
    from edgeopt_tvm.lowering import lower_program  # noqa: PLC0415 (imports torch)

    check_options(options)
    check_measurable(target, device)
    machine = machine_of(target)
    emulated = device.name if device is not None and device.emulated else ""
    path = Path(options.database) if options.database else default_database()
    with TuningDatabase(path) as database, ExitStack() as stack:
        tasks = tasks_of(lower_program(program, machine), machine, KERNELS, device=emulated)
        place = None if device is None else stack.enter_context(serving(device))
        worker = stack.enter_context(MeasurementWorker(machine, KERNELS, options, place))
        report = Tuner(tasks, worker, database, options, watch).run(target=target.name)
    if not emulated:
        return report
    note = f"measured under emulation ({emulated}): kept apart, and never used for a device"
    return msgspec.structs.replace(report, notes=(note, *report.notes))


def check_measurable(target: Target, device: Device | str | None = None) -> None:
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
        hint="pass the device, or tune on it with --target host and merge its database here: "
        "edgeopt tuning merge FILE",
    )
