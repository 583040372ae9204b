"""One try: quantize, lower for the target, compile, load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeopt.deployment.choose import require_supported
from edgeopt.errors import DeviceError, InputError
from edgeopt.passes import run_passes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.contracts import (
        Artifact,
        Backend,
        CompileOptions,
        Progress,
        Runner,
        SupportReport,
        Target,
    )
    from edgeopt.ir import Program
    from edgeopt.quantization import QuantizationConfig

__all__ = ["Build", "build", "compile_program", "make_config", "quantized"]


@dataclass(frozen=True)
class Build:
    """What one try made.

    Attributes:
        program: The compressed program, the same for every target.
        lowered: The program after the target passes: what was compiled.
        support: The backend's verdicts on ``program``.
        artifact: What the backend made.
        runner: The artefact, loaded on this machine; None where it only runs elsewhere.
        not_here: Why it does not run here; empty where it does.
    """

    program: Program
    lowered: Program
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
    lowered, support, artifact = compile_program(
        program, target, backend, options=options, progress=progress
    )
    try:
        runner = backend.load(artifact, threads=options.threads)
    except DeviceError as error:
        return Build(program, lowered, support, artifact, None, str(error))
    return Build(program, lowered, support, artifact, runner)


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
    support = backend.support(program, target)
    require_supported(support)
    lowered = run_passes(program, backend.passes(target))
    artifact = backend.compile(lowered, target, options, progress)
    return lowered, support, artifact


def quantized(
    program: Program,
    samples: Sequence[Any],
    settings: Mapping[str, Any],
    *,
    progress: Progress,
) -> Program:
    """Returns ``program`` quantized as ``settings`` (fields of a `QuantizationConfig`) say.

    Raises:
        InputError: A setting is unknown or wrong.
    """
    from edgeopt.quantization import quantize_program  # noqa: PLC0415 (torch)

    if not settings or settings.get("precision") == "float32":
        return program
    config = make_config(settings)
    return quantize_program(program, samples or None, config, progress=progress)


def make_config(settings: Mapping[str, Any] | QuantizationConfig | None) -> QuantizationConfig:
    """Returns the config with these fields.

    Raises:
        InputError: A field is unknown or its value is wrong.
    """
    import msgspec  # noqa: PLC0415 (only here)

    from edgeopt.quantization import QuantizationConfig  # noqa: PLC0415 (torch)

    if isinstance(settings, QuantizationConfig):
        return settings
    known = QuantizationConfig.__struct_fields__
    unknown = sorted(set(settings or {}) - set(known))
    if unknown:
        raise InputError(
            f"no setting {', '.join(unknown)}",
            where="quantization",
            hint=f"settings: {', '.join(known)}",
        )
    try:
        return msgspec.convert(dict(settings or {}), QuantizationConfig)
    except msgspec.ValidationError as error:
        raise InputError(str(error), where="quantization") from error
