"""One try: quantize, lower for the target, compile, load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import Precision
from edgeopt.deployment.choose import require_supported
from edgeopt.errors import DeviceError
from edgeopt.options import QuantizationConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt.contracts import Artifact, Backend, Progress, Runner, SupportReport, Target
    from edgeopt.data.dataset import Dataset
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions
    from edgeopt.passes import NumberChange

__all__ = ["Build", "build", "compile_program", "quantized"]


@dataclass(frozen=True)
class Build:
    """What one try made.

    Attributes:
        program: The compressed program, the same for every target.
        lowered: The program after the target passes: what was compiled.
        specified: The program after those target passes only that declare to change numbers: what
            the artefact has to compute.
        changes: What these declare, by pass.
        support: The backend's verdicts on ``program``.
        artifact: What the backend made.
        runner: The artefact, loaded on this machine; None where it only runs elsewhere.
        not_here: Why it does not run here; empty where it does.
    """

    program: Program
    lowered: Program
    specified: Program
    changes: Mapping[str, NumberChange]
    support: SupportReport
    artifact: Artifact
    runner: Runner | None
    not_here: str = ""

    def close(self) -> None:
        """Releases the runner."""
        if self.runner is not None:
            self.runner.close()


def build(
    program: Program,
    target: Target,
    backend: Backend,
    *,
    options: CompileOptions,
    progress: Progress,
) -> Build:
    """Returns ``program``, compiled for ``target`` and loaded here if that can be.

    Raises:
        UnsupportedError: An operator cannot be run; carries the report.
        CompileError: The toolchain failed.
    """
    from edgeopt.passes import number_changes, run_passes  # noqa: PLC0415 (torch)

    lowered, support, artifact = compile_program(
        program, target, backend, options=options, progress=progress
    )
    changes = number_changes(backend.passes(target))
    specs = [one for one in backend.passes(target) if getattr(one, "name", one) in changes]
    specified = run_passes(program, specs)
    made = Build(program, lowered, specified, changes, support, artifact, None)
    try:
        return replace(made, runner=backend.load(artifact, threads=options.threads))
    except DeviceError as error:
        return replace(made, not_here=str(error))


def compile_program(
    program: Program,
    target: Target,
    backend: Backend,
    *,
    options: CompileOptions,
    progress: Progress,
) -> tuple[Program, SupportReport, Artifact]:
    """Returns the lowered program, the verdicts and the artefact.

    Raises:
        UnsupportedError: An operator cannot be run; carries the report.
        CompileError: The toolchain failed.
    """
    from edgeopt.passes import require_canonical, run_passes  # noqa: PLC0415 (torch)

    require_canonical(program, f"backend {backend.name}")
    support = backend.support(program, target)
    require_supported(support)
    lowered = run_passes(program, backend.passes(target))
    artifact = backend.compile(lowered, target, options, progress)
    return lowered, support, artifact


def quantized(
    program: Program,
    samples: Dataset,
    settings: Mapping[str, Any],
    *,
    progress: Progress,
) -> Program:
    """Returns ``program`` quantized as ``settings`` (fields of a `QuantizationConfig`) say.

    Raises:
        InputError: A setting is unknown or wrong.
    """
    from edgeopt.quantization import quantize_program  # noqa: PLC0415 (torch)

    if not settings or settings.get("precision") == Precision.FLOAT32:
        return program
    config = QuantizationConfig.from_dict(settings, where="quantization")
    return quantize_program(program, samples if len(samples) else None, config, progress=progress)
