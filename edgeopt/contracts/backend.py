"""A toolchain that turns programs into artefacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from edgeopt.contracts.artifact import Artifact, DeviceRuntime
    from edgeopt.contracts.passes import PassSpec
    from edgeopt.contracts.runner import Runner
    from edgeopt.contracts.support import SupportReport
    from edgeopt.contracts.target import Target
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions

__all__ = ["Backend", "Lowered"]


@dataclass(frozen=True)
class Lowered:
    """A program as a backend has written it, once: its support report and what is compiled of it.

    Attributes:
        program: After the target passes: what the artefact computes, to the bit.
        target: The device that it was written for.
        support: One verdict for each node of the program as it was before the target passes.
        model: The backend's own; only its ``compile`` looks inside.
    """

    program: Program
    target: Target
    support: SupportReport
    model: Any = None


@runtime_checkable
class Backend(Protocol):
    """A plugin of the entry-point group ``edgeopt.backends``; its class takes no arguments.

    Constructing it must not import the toolchain: each method imports what it needs. What takes
    long calls `edgeopt.progress.report_progress` as it goes.
    """

    name: str

    def available(self) -> str | None:
        """Returns None where the toolchain is installed, else what to type to install it."""
        ...

    def versions(self) -> dict[str, str]:
        """Returns name and version of each distribution of the toolchain that is installed."""
        ...

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns the precisions it can compile for ``target``, the best first."""
        ...

    def passes(self, target: Target) -> tuple[str | PassSpec, ...]:
        """Returns the target passes to run, in order, by name or with options: data, from capabilities.

        A name is one of `edgeopt.passes.REGISTRY`, or ``package.module:object`` of the plugin.
        """
        ...

    def lower(self, program: Program, target: Target) -> Lowered:
        """Returns ``program`` (as it is before the target passes), written for ``target``.

        A node that cannot be written is no error here: the support report says so.
        """
        ...

    def compile(self, lowered: Lowered, options: CompileOptions) -> Artifact:
        """Returns the artefact of what `lower` made; twice the same bytes for the same options.

        Raises:
            UnsupportedError: A node cannot be run; carries the report.
            CompileError: The toolchain failed all the same.
        """
        ...

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine.

        Raises:
            PluginError: The runtime is not installed here.
            DeviceError: The artefact is for another kind of machine.
        """
        ...

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns what must be on the device, with versions that exist for its CPU and Python.

        Raises:
            TargetError: No runtime exists for that device.
        """
        ...
