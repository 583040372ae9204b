"""The plugin: what `edgeopt.contracts.Backend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.contracts import (
        Artifact,
        Device,
        DeviceRuntime,
        Progress,
        Runner,
        SupportReport,
        Target,
    )
    from edgeopt.contracts.tuning import TuningReport, Watch
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions, TuneOptions

__all__ = ["TVMBackend"]

_TOOLS = ("apache-tvm", "ziglang")


class TVMBackend:
    """Compiles programs to machine code for any CPU, through TVM and zig."""

    name = "tvm"

    def available(self) -> str | None:
        """Returns None where TVM and zig are installed, else what to type."""
        missing = [
            name
            for name, module in (("apache-tvm", "tvm"), ("ziglang", "ziglang"))
            if find_spec(module) is None
        ]
        return f"pip install {' '.join(missing)}" if missing else None

    def versions(self) -> dict[str, str]:
        """Returns the versions of TVM and zig, where they are installed."""
        found = {}
        for name in _TOOLS:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return found

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns int8 first; float16 only where the processor converts halves by itself."""
        from edgeopt_tvm.halves import converts_halves  # noqa: PLC0415 (keeps construction light)

        half = ("float16",) if converts_halves(target) else ()
        return ("int8", "int8-dynamic", *half, "float32")

    def passes(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns no pass: all canonical operators are written directly."""
        return ()

    def support(self, program: Program, target: Target) -> SupportReport:
        """Returns one verdict for each node."""
        from edgeopt_tvm.emitter import emit_program  # noqa: PLC0415 (the toolchain)
        from edgeopt_tvm.machine import machine_of  # noqa: PLC0415
        from edgeopt_tvm.support import report_of  # noqa: PLC0415

        return report_of(emit_program(program, machine_of(target)), target)

    def compile(
        self,
        program: Program,
        target: Target,
        options: CompileOptions,
        progress: Progress | None = None,
    ) -> Artifact:
        """Returns the artefact of ``program``.

        Raises:
            UnsupportedError: A node cannot be written; carries the report.
            TargetError: There is no compiler for the target's processor.
            CompileError: TVM or zig failed all the same.
        """
        from edgeopt_tvm.compiler import compile_program  # noqa: PLC0415 (the toolchain)

        return compile_program(program, target, options, progress)

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine.

        Raises:
            DeviceError: It is for another kind of machine.
        """
        from edgeopt_tvm.runner import load_artifact  # noqa: PLC0415 (imports torch)

        return load_artifact(artifact, threads)

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns what must be on the device: numpy for Python, or nothing.

        Raises:
            TargetError: The device has a Python for which no numpy exists.
        """
        from edgeopt_tvm.packaging import device_runtime  # noqa: PLC0415 (keeps construction light)

        return device_runtime(target)

    def check_tuning(self, target: Target, device: Device | str | None = None) -> None:
        """Checks whether kernels for ``target`` can be measured, here or on ``device``.

        Raises:
            TargetError: They cannot; says what to do instead.
        """
        from edgeopt_tvm.tuning.run import check_measurable  # noqa: PLC0415 (keeps it light)

        check_measurable(target, device)

    def tune(
        self,
        program: Program,
        target: Target,
        options: TuneOptions,
        *,
        device: Device | None = None,
        progress: Progress | None = None,
        watch: Watch | None = None,
    ) -> TuningReport:
        """Returns what came of tuning ``program``.

        Raises:
            InputError: An option or the database cannot be used.
            TargetError: The target's kernels cannot be measured here, and no device was given.
            CompileError: The toolchain failed.
            DeviceError: The device cannot be reached at all.
        """
        from edgeopt_tvm.tuning.run import tune_program  # noqa: PLC0415 (the toolchain)

        return tune_program(program, target, options, device=device, progress=progress, watch=watch)
