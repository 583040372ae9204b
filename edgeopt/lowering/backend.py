"""A backend that writes programs operator by operator: all of it that no toolchain makes different."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.contracts import Artifact, Lowered
from edgeopt.contracts.storage import INT16, Precision
from edgeopt.installation import install_command, packages_command, reinstall_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgeopt.contracts import DeviceRuntime, Runner, SupportReport, Target
    from edgeopt.ir import Program, QuantSpec
    from edgeopt.lowering.emitter import Emitter
    from edgeopt.lowering.runner import DeviceModel
    from edgeopt.options import CompileOptions

__all__ = ["ModelFiles", "RuleBackend"]

MOST_DECOMPOSITIONS = 5
"""How often operators that a backend refuses are decomposed into others, which it may refuse too."""


@dataclass(frozen=True)
class ModelFiles:
    """A model as the toolchain stores it; the attributes are those of `edgeopt.contracts.Artifact`."""

    entry: str
    files: dict[str, bytes]
    metadata: dict[str, Any] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)


class RuleBackend(ABC):
    """The backend of a toolchain with an `Emitter`. Constructing it imports nothing heavy.

    Attributes:
        name: The name users write.
        runtime: What a person calls the runtime.
        distribution: The package that this backend comes in.
        extra: The extra of that package which brings the toolchain; empty where the package itself does.
        toolchain: Distribution to module of what must be installed.
        saturates: Whether the runtime's 8-bit products saturate on a CPU without a dot product of
            bytes; then full weights are not run on such a machine.
        wide: Whether its kernels take integers of 16 bits at about the speed of float: then values that 8 bits
            are too few for get 16 before they stay in float.
        groups: Whether its kernels take weights of few bits with a step for each group of inputs; then they have
            such where nothing else is asked for.
    """

    name: ClassVar[str]
    runtime: ClassVar[str]
    distribution: ClassVar[str]
    extra: ClassVar[str] = ""
    toolchain: ClassVar[Mapping[str, str]]
    saturates: ClassVar[bool] = False
    wide: ClassVar[bool] = False
    groups: ClassVar[bool] = False

    # -- what a backend gives -------------------------------------------------------------------

    @abstractmethod
    def emitter(self, program: Program, target: Target) -> Emitter:
        """Returns an emitter for ``program``, which has been through the target passes."""

    @abstractmethod
    def write(self, lowered: Lowered, options: CompileOptions) -> ModelFiles:
        """Returns the files of ``lowered``, whose ``model`` is the emitter after its run.

        A second call with the same arguments gives the same bytes.

        Raises:
            CompileError: The toolchain failed.
        """

    @abstractmethod
    def device_model(self) -> Callable[[str, dict[str, Any], int], DeviceModel]:
        """Returns ``Model`` of the runtime that goes onto the device."""

    @abstractmethod
    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns what must be on the device, with versions that exist for its CPU and Python.

        Raises:
            TargetError: No runtime exists for that device.
        """

    def precisions(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns the precisions that it compiles, int8 first: those of 8 bits and float."""
        return tuple(
            one.value
            for one in Precision
            if one.activation_type != INT16 and not one.weight_type.is_packed
        )

    def passes(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns the names of the target passes: none, where all canonical operators are written."""
        return ()

    def keeps_packed(self, program: Program, name: str, spec: QuantSpec, target: Target) -> bool:  # noqa: ARG002 (what decides)
        """Returns whether a constant of fewer than 8 bits is written as it is: no; then `lower` unpacks it.

        Args:
            program: What holds it.
            name: The constant's.
            spec: Its grid.
            target: What it is written for.
        """
        return False

    # -- the contract ---------------------------------------------------------------------------

    def available(self) -> str | None:
        """Returns None where the toolchain is installed, else what to type."""
        missing = [name for name, module in self.toolchain.items() if find_spec(module) is None]
        if not missing:
            return None
        if self.extra:
            return install_command(self.extra, distribution=self.distribution)
        return packages_command(*missing)

    def versions(self) -> dict[str, str]:
        """Returns name and version of each distribution of the toolchain that is installed."""
        return _versions(self.toolchain)

    def lower(self, program: Program, target: Target) -> Lowered:
        """Returns ``program`` as it is written for ``target``, with a verdict for each node."""
        from edgeopt.lowering.few_bits import unpack_weights, with_unpacked  # noqa: PLC0415 (light)
        from edgeopt.lowering.support import support_report  # noqa: PLC0415 (imports torch)

        program, unpacked = unpack_weights(
            program, lambda held, name, spec: self.keeps_packed(held, name, spec, target)
        )
        emitter = self._emitted(program, target)
        if Precision.INT16X8.value not in self.precisions(target):
            emitter.refused |= {
                name: f"a value of 16 bits, and {self.name} has integers of 8 bits for {target.name}"
                for name, spec in program.quant.items()
                if spec.storage == INT16
            }
        report = support_report(emitter, program, target, backend=self.name)
        return Lowered(emitter.program, target, with_unpacked(report, program, unpacked), emitter)

    def _emitted(self, program: Program, target: Target) -> Emitter:
        """Returns the emitter after its run; what it refused is decomposed as long as that is possible."""
        from edgeopt.lowering.decomposition import (  # noqa: PLC0415 (imports torch)
            decompose_operators,
            origin,
        )
        from edgeopt.passes import run_passes  # noqa: PLC0415 (imports torch)

        reasons: dict[str, str] = {}
        for _ in range(MOST_DECOMPOSITIONS):
            emitter = self.emitter(run_passes(program, self.passes(target)), target)
            emitter.run()
            reasons = {**emitter.refused, **reasons}
            decomposed = decompose_operators(program, emitter.refused)
            if decomposed is program:
                break
            program = decomposed
        # Of a part that is refused too, the model's own operator is said, and why that is.
        names = {origin(emitter.program.node(name)): name for name in emitter.refused}
        emitter.refused = {own: reasons.get(own, reasons[name]) for own, name in names.items()}
        return emitter

    def support(self, program: Program, target: Target) -> SupportReport:
        """Returns one verdict for each node of ``program``: of `lower`, for those who only ask."""
        return self.lower(program, target).support

    def compile(self, lowered: Lowered, options: CompileOptions) -> Artifact:
        """Returns the artefact of ``lowered``, which `lower` has made.

        Raises:
            UnsupportedError: A node cannot be run; carries the report.
            CompileError: The toolchain failed.
        """
        from edgeopt.lowering.support import require_supported  # noqa: PLC0415 (keeps it light)

        require_supported(lowered.support)
        model = self.write(lowered, options)
        program = lowered.program
        return Artifact(
            backend=self.name,
            target=lowered.target.name,
            precision=program.precision,
            signature=program.signature,
            files=model.files,
            entry=model.entry,
            metadata=model.metadata,
            program_digest=program.digest,
            tools=_versions((self.distribution, *self.toolchain)),
            operators=dict(sorted(model.operators.items())),
            origins=model.origins,
            parts=model.parts,
        )

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine, by the code that runs on the device.

        Raises:
            PluginError: The runtime is not installed here.
            DeviceError: The artefact is for another kind of machine, or cannot be loaded.
        """
        from edgeopt.lowering.runner import load_artifact  # noqa: PLC0415 (imports numpy)

        return load_artifact(
            artifact, self.device_model, threads, runtime=self.runtime, install=self._install()
        )

    def _install(self) -> str:
        return self.available() or reinstall_command(self.extra, distribution=self.distribution)


def _versions(distributions: Any) -> dict[str, str]:
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
