"""From what was written to the files of an artefact."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

import tvm

from edgeopt.errors import CompileError
from edgeopt.lowering import ModelFiles
from edgeopt.progress import report_progress
from edgeopt_tvm.bundle_source import plain_facts
from edgeopt_tvm.first_links import prepare_links
from edgeopt_tvm.indices import with_limits
from edgeopt_tvm.kernel_verification import verify_kernels
from edgeopt_tvm.library import generate
from edgeopt_tvm.lowering import lower_emitted
from edgeopt_tvm.packaging import entry_of, linked_files
from edgeopt_tvm.tuning import open_chooser

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgeopt.contracts import Target
    from edgeopt.options import CompileOptions
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.kernel_verification import KernelVerification
    from edgeopt_tvm.linking import Parts
    from edgeopt_tvm.machine import Machine
    from edgeopt_tvm.tuning import Chooser

__all__ = ["compile_emitted"]


def compile_emitted(emitter: Emitter, target: Target, options: CompileOptions) -> ModelFiles:
    """Returns the files of what was written; the same program and tuning give the same bytes.

    Raises:
        TargetError: There is no compiler for the target's processor.
        CompileError: TVM or zig failed.
    """
    machine = emitter.machine
    executable = with_limits(lower_emitted(emitter), emitter.program)
    facts = plain_facts(emitter.program.precision)
    link = partial(linked_files, target=target, facts=facts)
    with closing(open_chooser(machine, options.tuning_database)) as chooser:
        parts, files, verification = _verified(executable, machine, chooser, link)
    return ModelFiles(
        entry_of(target),
        files,
        metadata=_metadata(executable, machine, chooser, verification),
        operators=Counter(_kind(s.kernel) for s in executable.steps),
        origins=_origins(executable),
        parts=parts.to_files(),
    )


def _verified(
    executable: Executable,
    machine: Machine,
    chooser: Chooser,
    link: Callable[[Parts], dict[str, bytes]],
) -> tuple[Parts, dict[str, bytes], KernelVerification]:
    """Returns the model's code, linked, each kernel tried or known to be right.

    It is generated and linked while its kernels are tried, since hardly ever one is wrong. A tuned kernel that is gives
    way to the one without tuning.

    Raises:
        CompileError: A kernel is wrong without tuning, or a tool failed.
    """
    functions = {g.name_hint: f for g, f in executable.module.functions.items()}
    scheduled = {name: chooser(function) for name, function in functions.items()}
    generated = Event()
    # Work beside this thread has no listener: stages are told one after the other.
    with ThreadPoolExecutor(2) as beside:
        beside.submit(prepare_links, machine)
        trial = beside.submit(
            verify_kernels, executable, scheduled, machine, generated=generated.wait
        )
        try:
            parts = _generated(executable, scheduled, machine)
        finally:
            generated.set()
        report_progress("check kernels", 0, 1)
        files = link(parts)
        verification = trial.result()
        report_progress("check kernels", 1, 1)
    if not verification.wrong:
        return parts, files, verification
    chooser.reject(verification.wrong)
    for name in verification.wrong:
        scheduled[name] = chooser.plain(functions[name])
    _require_right(executable, verify_kernels(executable, scheduled, machine))
    parts = _generated(executable, scheduled, machine)
    return parts, link(parts), verification


def _generated(executable: Executable, scheduled: Mapping[str, Any], machine: Machine) -> Parts:
    return generate(replace(executable, module=tvm.IRModule(dict(scheduled))), machine)


def _require_right(executable: Executable, verification: KernelVerification) -> None:
    for name, fault in verification.wrong.items():
        origins = next((s.origins for s in executable.steps if s.kernel == name), ())
        raise CompileError(
            f"TVM's code for kernel {name} is wrong on random numbers: {fault}",
            where=", ".join(origins) or name,
            hint="this is a fault of the compiler; choose another backend, and report it",
        )


def _metadata(
    executable: Executable, machine: Machine, chooser: Chooser, verification: KernelVerification
) -> dict[str, Any]:
    notes = list(chooser.notes)
    if verification.unchecked:
        notes.append(f"kernels were not tried on random numbers: {verification.unchecked}")
    return {
        "arch": machine.arch,
        "steps": len(executable.steps),
        "kernels": len(executable.module.functions),
        "tuned": chooser.tuned,
        "untuned": chooser.untuned,
        "verified": len(executable.module.functions)
        if not verification.unchecked
        else verification.known,
        "wrong": len(verification.wrong),
        "notes": notes,
    }


def _kind(kernel: str) -> str:
    """Returns what a kernel is called without the number that tells it from its like."""
    words = [w.rstrip("0123456789") or w for w in kernel.removeprefix("fused_").split("_")]
    return "_".join(words)


def _origins(executable: Executable) -> dict[str, str]:
    """Returns the program's last value that each step makes; a kernel may run in several."""
    return {
        f"{number}:{step.kernel}": step.origins[-1]
        for number, step in enumerate(executable.steps)
        if step.origins
    }
