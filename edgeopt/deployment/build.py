"""One try: quantize, lower for the target, compile, load."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgeopt.contracts.storage import Precision
from edgeopt.deployment.memory import memory_of, require_fit
from edgeopt.errors import DeviceError
from edgeopt.ir.operators import traits_of
from edgeopt.ir.ops import is_weighted
from edgeopt.lowering import lower_once, require_supported
from edgeopt.options import QuantizationConfig
from edgeopt.passes import number_changes, require_canonical, run_passes
from edgeopt.quantization import quantize_program
from edgeopt.registry import detect_host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeopt.contracts import (
        Artifact,
        Backend,
        Lowered,
        Runner,
        SupportReport,
        Target,
    )
    from edgeopt.data.dataset import Dataset
    from edgeopt.deployment.memory import MemoryBounds, MemoryReport
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions
    from edgeopt.passes import NumberChange

__all__ = ["Build", "build", "compile_program", "quantized", "specified_program"]


@dataclass(frozen=True)
class Build:
    """What one try made.

    Attributes:
        program: The compressed program, the same for every target.
        lowering: What the backend wrote of it, with its verdicts.
        specified: The program after those target passes only that declare to change numbers: what
            the artefact has to compute.
        changes: What these declare, by pass.
        artifact: What the backend made.
        runner: The artefact, loaded on this machine; None where it only runs elsewhere.
        not_here: Why it does not run here; empty where it does.
        memory: What it takes of a microcontroller's flash and RAM; None where that is not known.
    """

    program: Program
    lowering: Lowered
    specified: Program
    changes: Mapping[str, NumberChange]
    artifact: Artifact
    runner: Runner | None
    not_here: str = ""
    memory: MemoryReport | None = None

    @property
    def lowered(self) -> Program:
        """The program after the target passes: what was compiled."""
        return self.lowering.program

    @property
    def support(self) -> SupportReport:
        """The backend's verdicts on ``program``."""
        return self.lowering.support

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
    limits: MemoryBounds | None = None,
) -> Build:
    """Returns ``program``, compiled for ``target`` and loaded here if that can be.

    Raises:
        UnsupportedError: An operator cannot be run; carries the report.
        MemoryLimitError: It does not keep to ``limits``: as far as that is foreseen, nothing is compiled.
        CompileError: The toolchain failed.
    """
    lowered = lower_once(backend, program, target)
    _fitting(lowered, backend, limits)
    lowering, artifact = compile_program(program, target, backend, options=options, lowered=lowered)
    memory = _fitting(lowered, backend, limits)  # exactly, now that it is linked
    changes = number_changes(backend.passes(target))
    specified = specified_program(program, target, backend)
    result = Build(program, lowering, specified, changes, artifact, None, memory=memory)
    unlike = _unlike_here(program, target, backend)
    if unlike:
        return replace(result, not_here=unlike)
    try:
        return replace(result, runner=backend.load(artifact, threads=options.threads))
    except DeviceError as error:
        return replace(result, not_here=str(error))


def _fitting(
    lowered: Lowered, backend: Backend, limits: MemoryBounds | None
) -> MemoryReport | None:
    memory = memory_of(lowered, backend, limits)
    if memory is not None:
        require_fit(memory.use, memory.limits, lowered.program.precision)
    return memory


def specified_program(program: Program, target: Target, backend: Backend) -> Program:
    """Returns ``program`` after those target passes only that declare to change numbers."""
    changes = number_changes(backend.passes(target))
    specs = [one for one in backend.passes(target) if getattr(one, "name", one) in changes]
    return run_passes(program, specs)


def _unlike_here(program: Program, target: Target, backend: Backend) -> str:
    """Returns why this machine computes other numbers than the target would; empty where it does not."""
    if not getattr(backend, "saturates", False) or not Precision(program.precision).is_integer:
        return ""
    safe = detect_host().quantization.weight_bits
    if target.quantization.weight_bits <= safe or _factor_bits(program) <= safe:
        return ""
    return f"8-bit products saturate on this machine (no VNNI), and not on {target.name}"


def _factor_bits(program: Program) -> int:
    """Returns how many bits the second factors of integer products use at most: weights and the like."""
    products = (n for n in program.graph.nodes if is_weighted(n) or traits_of(n).macs == "product")
    factors = (program.quant.get(n.args[1].name) for n in products)
    return max((spec.bits for spec in factors if spec is not None), default=0)


def compile_program(
    program: Program,
    target: Target,
    backend: Backend,
    *,
    options: CompileOptions,
    lowered: Lowered | None = None,
) -> tuple[Lowered, Artifact]:
    """Returns what the backend wrote of ``program`` (``lowered``, where it has), and the artefact.

    Raises:
        UnsupportedError: An operator cannot be run; carries the report.
        CompileError: The toolchain failed.
    """
    require_canonical(program, f"backend {backend.name}")
    lowered = lowered or lower_once(backend, program, target)
    require_supported(lowered.support)
    return lowered, backend.compile(lowered, options)


def quantized(
    program: Program,
    samples: Dataset,
    settings: Mapping[str, Any],
    others: Sequence[tuple[Program, Dataset]] = (),
) -> Program:
    """Returns ``program`` quantized as ``settings`` (fields of a `QuantizationConfig`) say.

    Args:
        program: In float.
        samples: To calibrate with.
        settings: What to do.
        others: The program at other shapes, with samples of each.

    Raises:
        InputError: A setting is unknown or wrong.
    """
    if not settings or settings.get("precision") == Precision.FLOAT32:
        return program
    config = QuantizationConfig.from_dict(settings, where="quantization")
    return quantize_program(program, samples if len(samples) else None, config, others)
