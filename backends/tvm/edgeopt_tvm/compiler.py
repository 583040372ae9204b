"""Program to artefact."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from importlib import metadata
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import Artifact
from edgeopt.errors import UnsupportedError
from edgeopt_tvm.emitter import emit_program
from edgeopt_tvm.lowering import lower_emitted
from edgeopt_tvm.machine import machine_of
from edgeopt_tvm.packaging import entry_of, model_files
from edgeopt_tvm.support import report_of
from edgeopt_tvm.tuning import open_chooser

if TYPE_CHECKING:
    from edgeopt.contracts import CompileOptions, Progress, Target
    from edgeopt.ir import Program
    from edgeopt_tvm.emitter import Emitter
    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.tuning import Chooser

__all__ = ["compile_program"]


def compile_program(
    program: Program, target: Target, options: CompileOptions, progress: Progress | None = None
) -> Artifact:
    """Returns the artefact of ``program``; the same program and tuning give the same bytes.

    Raises:
        UnsupportedError: A node cannot be written; carries the report.
        TargetError: There is no compiler for the target's processor.
        CompileError: TVM or zig failed all the same.
    """
    machine = machine_of(target)
    emitter = emit_program(program, machine, step=_counted(program, progress))
    _require_support(emitter, target)
    executable = lower_emitted(emitter)
    with closing(open_chooser(machine, options.tuning_database)) as chooser:
        files = model_files(executable, target, schedule=chooser, progress=progress)
    return Artifact(
        backend="tvm",
        target=target.name,
        precision=program.precision,
        signature=program.signature,
        files=files,
        entry=entry_of(target),
        metadata=_metadata(executable, chooser),
        program_digest=program.digest,
        tools=_tools(),
        operators=dict(sorted(Counter(_kind(s.kernel) for s in executable.steps).items())),
        origins=_origins(executable),
    )


def _counted(program: Program, progress: Progress | None) -> Any:
    total, done = sum(node.op == "call_function" for node in program.graph.nodes), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress("compile", min(done, total), total)

    return step


def _require_support(emitter: Emitter, target: Target) -> None:
    report = report_of(emitter, target)
    if report.ok:
        return
    names = sorted({node.operator for node in report.unsupported})
    raise UnsupportedError(
        f"TVM cannot run {', '.join(names)}",
        where=report.unsupported[0].source or None,
        hint="see the report for each node, or choose a backend that has them",
        report=report,
    )


def _metadata(executable: Executable, chooser: Chooser) -> dict[str, Any]:
    return {
        "steps": len(executable.steps),
        "kernels": len(executable.module.functions),
        "tuned": chooser.tuned,
        "untuned": chooser.untuned,
        "notes": list(chooser.notes),
    }


def _kind(kernel: str) -> str:
    """Returns what a kernel is called without the number that tells it from its like."""
    words = [w.rstrip("0123456789") or w for w in kernel.removeprefix("fused_").split("_")]
    return "_".join(words)


def _tools() -> dict[str, str]:
    names = ("edgeopt-tvm", "apache-tvm", "ziglang")
    return {name: metadata.version(name) for name in names}


def _origins(executable: Executable) -> dict[str, str]:
    """Returns the program's last value that each step makes; a kernel may run in several."""
    return {
        f"{number}:{step.kernel}": step.origins[-1]
        for number, step in enumerate(executable.steps)
        if step.origins
    }
