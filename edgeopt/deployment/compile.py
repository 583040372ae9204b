"""Compiles a program and writes the bundle; of the gate only parity, on the samples given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.bundles import write_bundle
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.deployment.build import Build, build
from edgeopt.deployment.choose import choose_backend
from edgeopt.deployment.finish import golden_samples, temporary_bundle
from edgeopt.deployment.gates import GateResult
from edgeopt.deployment.memory import limits_of
from edgeopt.deployment.request import Request
from edgeopt.deployment.work import value_rows
from edgeopt.errors import GateError, InputError
from edgeopt.gate.parity import check_parity, run_all, with_operators
from edgeopt.ir import Program, ReferenceRunner
from edgeopt.lowering import shared_lowerings
from edgeopt.options import BundleOptions, CompileOptions
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.bundles import Bundle, GoldenSamples
    from edgeopt.contracts import Backend, Target

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
) -> Bundle:
    """Returns the bundle of ``program``; `edgeopt.compile` documents the arguments."""
    _require_program(program)
    bundle = BundleOptions(threads=threads, overwrite=overwrite)
    Request(backend=backend, output=output, bundle=bundle).check()
    descriptor = find_target(target)
    with shared_lowerings():
        compiler = choose_backend(
            descriptor, backend=backend, precision=program.precision, program=program
        ).backend
        options, limits = CompileOptions(threads=threads), limits_of(descriptor)
        result = build(program, descriptor, compiler, options=options, limits=limits)
    try:
        golden = None if samples is None else _checked(result, samples, compiler, descriptor)
    finally:
        result.close()
    report = {"values": value_rows(result.lowered, result.support)}

    def write(path: Path) -> Bundle:
        runtime = compiler.device_runtime(descriptor)
        return write_bundle(
            result.artifact,
            runtime,
            descriptor,
            path=path,
            golden=golden,
            report=report,
            overwrite=overwrite,
        )

    return temporary_bundle(write) if output is None else write(Path(output))


def _require_program(program: object) -> None:
    if not isinstance(program, Program):
        what = f"expected a Program, got a {type(program).__name__}"
        hint = "edgeopt.capture(model, example_inputs) makes one"
        raise InputError(what, where="program", hint=hint)


def _checked(
    result: Build, samples: Iterable[Any], backend: Backend, target: Target
) -> GoldenSamples | None:
    """Returns the golden samples, after parity on them where the artefact runs here.

    Raises:
        GateError: The artefact does not compute what the program does.
    """
    program = result.specified
    inputs = Dataset.read(samples, Binder.of_program(program), limit=MAX_SAMPLES).arrays()
    reference = run_all(ReferenceRunner(program), inputs)
    if result.runner is not None:
        where = f"{backend.name} on this machine"
        parity = check_parity(result.runner, program, inputs, reference, where=where)
        parity = with_operators(parity, program, backend, target, inputs)
        if not parity.ok:
            what = "the artefact does not compute what the program does"
            raise GateError(
                f"{what}: {'; '.join(parity.reasons)}",
                where=f"parity, {where}",
                hint="compile with another backend or precision; please report it to the backend",
            )
    return golden_samples(program, inputs, GateResult(None, None, reference))
