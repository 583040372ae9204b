"""Every kernel is tried on random numbers before it enters a bundle, here or under QEMU.

All kernels of a model, scheduled for its device, become one program without inputs: each step is a
kernel, its operands are random numbers and extremes. The program runs in a process of its own, on
this machine or in the emulator of the device's processor, and its outputs are compared with those
of the same kernels compiled here without any schedule, bit for bit where nothing is summed in
floats. What has been right once is remembered by a digest of its code.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tvm

from edgeopt.devices.qemu import emulator
from edgeopt.errors import DeviceError
from edgeopt.files import cache_folder
from edgeopt.progress import progress_to, silent
from edgeopt_tvm.codegen import plain_functions
from edgeopt_tvm.executable import Buffer, Executable, Step
from edgeopt_tvm.library import generate
from edgeopt_tvm.linking import link_program
from edgeopt_tvm.machine import here
from edgeopt_tvm.objects import code_digest
from edgeopt_tvm.tuning.worker.check import CLIPPED, EXTREME, differs, make_cases
from edgeopt_tvm.tuning.worker.inputs import parameters
from edgeopt_tvm.tuning.workload import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgeopt_tvm.linking import Parts
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.tuning.worker.check import Case
    from edgeopt_tvm.tuning.worker.inputs import Parameter

__all__ = ["KernelVerification", "link_trial", "verify_kernels"]

_KINDS = (CLIPPED, EXTREME)
"""What each kernel is tried on."""
_AT_ONCE = 256
"""Results of one program: they are files on its command line."""
_AT_ONCE_BYTES = 1 << 27
"""What they read and write in one program; it holds all of that."""
_LIMIT_S = 900.0
"""Seconds that a program may take, in an emulator on a busy machine."""
_CORES = {"aarch64": "max", "armv7": "max", "riscv64": "rv64"}
"""QEMU's cores with all features that it knows."""


@dataclass(frozen=True)
class KernelVerification:
    """What came of trying kernels.

    Attributes:
        right: How many computed what they should, now.
        known: How many were remembered to be right.
        wrong: Name of each that did not, and how it differed.
        unchecked: Why nothing could be tried, else empty.
    """

    right: int = 0
    known: int = 0
    wrong: Mapping[str, str] = field(default_factory=dict)
    unchecked: str = ""


def verify_kernels(
    executable: Executable,
    scheduled: Mapping[str, Any],
    machine: Machine,
    *,
    generated: Callable[[], Any] | None = None,
) -> KernelVerification:
    """Returns what came of trying all kernels of a model.

    Args:
        executable: The model, its kernels as fusion leaves them.
        scheduled: Kernel's name to the PrimFunc that code is generated from.
        machine: What it is generated for.
        generated: Returns when another thread has put their code into the cache: called before it is read.
    """
    marks = {name: _mark(function, machine) for name, function in scheduled.items()}
    unknown = [name for name in sorted(marks) if not marks[name].exists()]
    count = len(marks) - len(unknown)
    if not unknown:
        return KernelVerification(known=count)
    try:
        launcher = _launcher(machine)
    except DeviceError as error:
        return KernelVerification(known=count, unchecked=str(error))
    outputs = {step.kernel: step.outputs for step in executable.steps}
    wrong: dict[str, str] = {}
    for names in _batches(executable, unknown, outputs):
        cases = dict(_cases(executable, names, outputs))
        if generated is not None:
            generated()
        wrong |= _tried(cases, scheduled, machine, launcher)
    for name in unknown:
        if name not in wrong:
            marks[name].parent.mkdir(parents=True, exist_ok=True)
            marks[name].touch()
    return KernelVerification(len(unknown) - len(wrong), count, wrong)


def _mark(function: Any, machine: Machine) -> Path:
    """Returns the file that says that this code was right."""
    digest = code_digest(function, machine)
    return cache_folder() / "tvm-verified" / digest[:2] / digest[2:]


def _launcher(machine: Machine) -> list[str]:
    """Returns the words in front of a program for ``machine``; none where it runs here.

    Raises:
        DeviceError: This machine can neither run nor emulate it.
    """
    mine = here()
    if machine.arch == mine.arch:
        lacking = [f[1:] for f in machine.features if f not in mine.features]
        if not lacking:
            return []
        words = f"this machine lacks {', '.join(lacking)}"
        raise DeviceError(words, where=f"code for {machine.mcpu}")
    core = _CORES.get(machine.arch, "")
    vectors = ",v=true" if machine.arch == "riscv64" and "+v" in machine.features else ""
    return [str(emulator(machine.arch, core)[0]), "-cpu", core + vectors]


def _batches(
    executable: Executable, names: list[str], outputs: Mapping[str, int]
) -> Iterator[list[str]]:
    """Yields names of kernels that go into one program."""
    batch: list[str] = []
    results = total = 0
    for name in names:
        size = len(_KINDS) * sum(_size_bytes(p) for p in parameters(executable.module[name]))
        results += len(_KINDS) * outputs[name]
        total += size
        if batch and (results > _AT_ONCE or total > _AT_ONCE_BYTES):
            yield batch
            batch, results, total = [], len(_KINDS) * outputs[name], size
        batch.append(name)
    if batch:
        yield batch


def _size_bytes(parameter: Parameter) -> int:
    return prod(parameter.shape) * np.dtype(parameter.dtype).itemsize


def _cases(
    executable: Executable, names: list[str], outputs: Mapping[str, int]
) -> Iterator[tuple[str, list[Case]]]:
    """Yields each kernel's name, and what to try it on."""
    plain = plain_functions({name: bare(executable.module[name]) for name in names}, here())
    for name in names:
        function = executable.module[name]
        yield name, make_cases(function, plain[name], outputs[name], kinds=_KINDS)


def _tried(
    cases: Mapping[str, list[Case]],
    scheduled: Mapping[str, Any],
    machine: Machine,
    launcher: list[str],
) -> dict[str, str]:
    """Returns what was wrong with which kernel."""
    every = [(name, case) for name, entry in cases.items() for case in entry]
    with progress_to(silent):  # its kernels and its link are not the artefact's
        parts = generate(_program_of(every, scheduled), machine)
        program = link_trial(parts, machine, is_here=not launcher)
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        path = Path(folder) / "kernels"
        path.write_bytes(program)
        path.chmod(0o700)
        files = [Path(folder) / f"{i}.npy" for i in range(sum(len(c.outputs) for _, c in every))]
        failed = _run([*launcher, str(path), *(f"--output={f}" for f in files)])
        if failed:
            return _bisected(cases, scheduled, machine, launcher, failed)
        results = iter(files)
        for _, case in every:
            for entry in case.outputs:
                entry.array[...] = np.load(next(results), allow_pickle=False)
    faults: dict[str, str] = {}
    for name, case in every:
        fault = differs(case)
        if fault:
            faults.setdefault(name, fault)
    return faults


def link_trial(parts: Parts, machine: Machine, *, is_here: bool) -> bytes:
    """Returns a program that tries kernels.

    Args:
        parts: What it runs.
        machine: What its code is for.
        is_here: Whether it runs on this machine: then it uses the C library of this one, which is linked in no time.
    """
    runs_on = replace(machine, glibc=here().glibc) if is_here else machine
    return link_program(parts, runs_on, static=not (is_here and runs_on.glibc))


def _bisected(
    cases: Mapping[str, list[Case]],
    scheduled: Mapping[str, Any],
    machine: Machine,
    launcher: list[str],
    failed: str,
) -> dict[str, str]:
    """Returns which kernels end the program."""
    if len(cases) == 1:
        return {next(iter(cases)): failed}
    faults: dict[str, str] = {}
    names = list(cases)
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        faults |= _tried({name: cases[name] for name in half}, scheduled, machine, launcher)
    return faults


def _run(command: list[str]) -> str:
    """Returns what went wrong, empty where nothing did."""
    try:
        process = subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"it took longer than {_LIMIT_S:g} s and was ended"
    if process.returncode == 0:
        return ""
    last = process.stderr.decode("utf-8", "replace").strip()[-300:]
    how = (
        f"signal {-process.returncode}"
        if process.returncode < 0
        else f"status {process.returncode}"
    )
    return f"it ended with {how}{': ' + last if last else ''}"


def _program_of(cases: list[tuple[str, Case]], scheduled: Mapping[str, Any]) -> Executable:
    """Returns the executable whose steps are the cases."""
    buffers: list[Buffer] = []
    constants: dict[int, np.ndarray] = {}
    steps = []
    for number, (name, case) in enumerate(cases):
        args = []
        for argument in case.inputs:
            constants[len(buffers)] = argument.array
            args.append(len(buffers))
            buffers.append(_buffer(f"in{len(buffers)}", argument.array, "constant"))
        for argument in case.outputs:
            args.append(len(buffers))
            buffers.append(_buffer(f"out{len(buffers)}", argument.array, "output"))
        steps.append(Step(name, tuple(args), len(case.outputs), (str(number),)))
    module = tvm.IRModule({name: scheduled[name] for name, _ in cases})
    return Executable(module, tuple(buffers), tuple(steps), constants)


def _buffer(name: str, array: np.ndarray, kind: Any) -> Buffer:
    return replace(Buffer(name, (), "", kind), shape=array.shape, dtype=array.dtype.name)
