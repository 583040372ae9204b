"""The plugin: what `edgeopt.contracts.Backend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import metadata, resources
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact, DeviceRuntime, Progress, Runner, SupportReport, Target
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions

__all__ = ["OpenVINOBackend"]


class OpenVINOBackend:
    """Compiles programs to OpenVINO models."""

    name = "openvino"

    def available(self) -> str | None:
        """Returns None where OpenVINO is installed, else what to type."""
        return None if find_spec("openvino") else "pip install openvino"

    def versions(self) -> dict[str, str]:
        """Returns the version of OpenVINO, where it is installed."""
        try:
            return {"openvino": metadata.version("openvino")}
        except metadata.PackageNotFoundError:
            return {}

    def precisions(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns all precisions, int8 first."""
        return ("int8", "int8-dynamic", "float16", "float32")

    def passes(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns no pass: OpenVINO has every canonical operator, and chooses layouts itself."""
        return ()

    def support(self, program: Program, target: Target) -> SupportReport:
        """Returns one verdict for each node."""
        from edgeopt_openvino.emitter import emit_program  # noqa: PLC0415 (the toolchain)
        from edgeopt_openvino.support import report_of  # noqa: PLC0415

        return report_of(emit_program(program), target)

    def compile(
        self,
        program: Program,
        target: Target,
        options: CompileOptions,  # noqa: ARG002 (threads are chosen when it is loaded)
        progress: Progress | None = None,
    ) -> Artifact:
        """Returns the artefact of ``program``.

        Raises:
            UnsupportedError: A node cannot be written; carries the report.
            CompileError: OpenVINO failed all the same.
        """
        from edgeopt_openvino.compiler import compile_program  # noqa: PLC0415 (the toolchain)

        return compile_program(program, target, progress)

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine.

        Raises:
            PluginError: OpenVINO is not installed.
            DeviceError: The runtime here cannot load it.
        """
        from edgeopt_openvino.runner import load_artifact  # noqa: PLC0415 (imports torch)

        return load_artifact(artifact, threads)

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns OpenVINO with versions that exist for the device.

        Raises:
            TargetError: No wheel exists for that CPU, C library or Python.
        """
        from edgeopt.contracts import DeviceRuntime  # noqa: PLC0415 (keeps construction light)
        from edgeopt_openvino.wheels import runtime_wheels  # noqa: PLC0415

        source = resources.files("edgeopt_openvino.device").joinpath("runtime.py")
        return DeviceRuntime("OpenVINO", runtime_wheels(target), source.read_text(encoding="utf-8"))
