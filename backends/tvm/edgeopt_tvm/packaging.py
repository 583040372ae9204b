"""What of a model goes onto a device: the library, and a program for those without Python."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.contracts import DeviceRuntime
from edgeopt.progress import report_progress
from edgeopt_tvm.bundle_source import bundle_facts
from edgeopt_tvm.library import generate
from edgeopt_tvm.linking import Parts, link_library, link_program, link_runner
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.wheels import runtime_wheels

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt.contracts import Artifact, BundledPrograms, Target
    from edgeopt_tvm.bundle_source import Facts
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

__all__ = [
    "LIBRARY",
    "PROGRAM",
    "device_runtime",
    "entry_of",
    "joined",
    "linked_files",
    "model_files",
]

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
    return linked_files(generate(executable, machine_of(target), schedule=schedule), target)


def linked_files(parts: Parts, target: Target, facts: Facts | None = None) -> dict[str, bytes]:
    """Returns the files of `model_files`, of what was compiled already.

    Args:
        parts: One program or several.
        target: The device.
        facts: What the bundle says of them; None where there is one, in float, and nothing is said of it.
    """
    machine = machine_of(target)
    if entry_of(target) == PROGRAM:
        files = {PROGRAM: link_program(parts, machine, facts)}
    else:
        library = link_library(parts, machine)
        files = {LIBRARY: library, PROGRAM: link_runner(library, machine, facts)}
    report_progress("link", 1, 1)
    return files


def joined(bundled: BundledPrograms, target: Target) -> list[Artifact]:
    """Returns the artefacts of a bundle: one library or program holds them all, what they share once."""
    artifacts = [one.artifact for one in bundled.programs]
    facts = bundle_facts(bundled)
    if len(artifacts) == 1 and LIBRARY in artifacts[0].files:
        library = artifacts[0].files[LIBRARY]
        files = {LIBRARY: library, PROGRAM: link_runner(library, machine_of(target), facts)}
        return [msgspec.structs.replace(artifacts[0], files=files)]
    parts = Parts.from_files([artifact.parts for artifact in artifacts])
    files = linked_files(parts, target, facts)
    if len(artifacts) == 1:
        return [msgspec.structs.replace(artifacts[0], files=files)]
    return [
        msgspec.structs.replace(
            artifact,
            files={} if number else files,
            metadata={**artifact.metadata, "program": number},
        )
        for number, artifact in enumerate(artifacts)
    ]


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
