"""Compiles a program and writes the bundle, without the gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.bundles import write_bundle
from edgeopt.contracts import CompileOptions
from edgeopt.deployment.build import compile_program
from edgeopt.deployment.choose import choose_backend
from edgeopt.deployment.finish import golden_samples, temporary_bundle
from edgeopt.deployment.gates import Verdict
from edgeopt.deployment.request import Request, silent
from edgeopt.deployment.work import value_rows
from edgeopt.errors import InputError
from edgeopt.gate.parity import run_all
from edgeopt.ir import Program, ReferenceRunner
from edgeopt.ir.inputs import calibration_samples
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.bundles import Bundle, GoldenSamples
    from edgeopt.contracts import Progress, Target

__all__ = ["compile_bundle"]

MAX_SAMPLES = 4


def compile_bundle(  # noqa: PLR0913 (as edgeopt.compile)
    program: Program,
    target: str | Path | Target,
    *,
    backend: str = "auto",
    output: Path | str | None = None,
    samples: Iterable[Any] | None = None,
    threads: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Returns the bundle of ``program``; `edgeopt.compile` documents the arguments."""
    _require_program(program)
    Request(backend=backend, output=output, threads=threads, overwrite=overwrite).check()
    found = find_target(target)
    chosen = choose_backend(
        found, backend=backend, precision=program.precision, program=program
    ).backend
    lowered, support, artifact = compile_program(
        program, found, chosen, options=CompileOptions(threads), progress=progress or silent
    )
    golden = None if samples is None else _golden(lowered, samples)
    report = {"values": value_rows(lowered, support)}

    def write(path: Path) -> Bundle:
        runtime = chosen.device_runtime(found)
        return write_bundle(
            artifact, runtime, found, path=path, golden=golden, report=report, overwrite=overwrite
        )

    return temporary_bundle(write) if output is None else write(Path(output))


def _require_program(program: object) -> None:
    if not isinstance(program, Program):
        what = f"expected a Program, got a {type(program).__name__}"
        hint = "edgeopt.capture(model, example_inputs) makes one"
        raise InputError(what, where="program", hint=hint)


def _golden(program: Program, samples: Iterable[Any]) -> GoldenSamples | None:
    held = [
        tuple(t.contiguous().numpy() for t in one)
        for one in calibration_samples(program.signature, samples, limit=MAX_SAMPLES)
    ]
    reference = run_all(ReferenceRunner(program), held)
    return golden_samples(program, held, Verdict(None, None, reference))
