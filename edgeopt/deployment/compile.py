"""Compiles a program and writes the bundle, without the gate."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.bundles import write_bundle
from edgeopt.data.binder import Binder
from edgeopt.data.dataset import Dataset
from edgeopt.deployment.build import compile_program
from edgeopt.deployment.choose import choose_backend
from edgeopt.deployment.finish import golden_samples, temporary_bundle
from edgeopt.deployment.gates import GateResult
from edgeopt.deployment.request import Request, silent
from edgeopt.deployment.work import value_rows
from edgeopt.errors import InputError
from edgeopt.gate.parity import run_all
from edgeopt.ir import Program, ReferenceRunner
from edgeopt.lowering import shared_lowerings
from edgeopt.options import BundleOptions, CompileOptions
from edgeopt.registry import find_target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt.bundles import Bundle, GoldenSamples
    from edgeopt.contracts import Progress, Target

__all__ = ["compile_bundle"]

MAX_SAMPLES = 4

_log = logging.getLogger(__name__)


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
    bundle = BundleOptions(threads=threads, overwrite=overwrite)
    Request(backend=backend, output=output, bundle=bundle).check()
    descriptor = find_target(target)
    with shared_lowerings():
        compiler = choose_backend(
            descriptor, backend=backend, precision=program.precision, program=program
        ).backend
        lowered, artifact = compile_program(
            program,
            descriptor,
            compiler,
            options=CompileOptions(threads=threads),
            progress=progress or silent,
        )
    golden = None if samples is None else _golden(lowered.program, samples)
    _log.warning("compile: the bundle is not gated; edgeopt.deploy compares it with the model")
    report = {"values": value_rows(lowered.program, lowered.support)}

    def write(path: Path) -> Bundle:
        runtime = compiler.device_runtime(descriptor)
        return write_bundle(
            artifact,
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


def _golden(program: Program, samples: Iterable[Any]) -> GoldenSamples | None:
    dataset = Dataset.read(samples, Binder.of_program(program), limit=MAX_SAMPLES)
    inputs = dataset.arrays()
    reference = run_all(ReferenceRunner(program), inputs)
    return golden_samples(program, inputs, GateResult(None, None, reference))
