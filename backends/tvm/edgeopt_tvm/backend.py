"""The plugin: what `edgeopt.lowering.RuleBackend` asks for, each part in a module of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.lowering import RuleBackend

if TYPE_CHECKING:
    from edgeopt.contracts import (
        Artifact,
        BundledPrograms,
        CallSource,
        Device,
        DeviceRuntime,
        Lowered,
        Runner,
        Target,
    )
    from edgeopt.contracts.tuning import TuningReport, Watch
    from edgeopt.ir import Program
    from edgeopt.lowering import ModelFiles
    from edgeopt.options import CompileOptions, TuneOptions
    from edgeopt_tvm.emitter import Emitter

__all__ = ["TVMBackend"]


class TVMBackend(RuleBackend):
    """Compiles programs to machine code for any CPU, through TVM and zig; needs no pass."""

    name = "tvm"
    runtime = "edgeopt-tvm"
    distribution = "edgeopt"
    extra = "tvm"
    toolchain: ClassVar = {"apache-tvm": "tvm", "ziglang": "ziglang"}
    wide = True

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns int8 first; float16 only where the processor converts halves by itself."""
        from edgeopt_tvm.halves import converts_halves  # noqa: PLC0415 (keeps construction light)

        half = ("float16",) if converts_halves(target) else ()
        return ("int8", "int8-dynamic", "int16x8", *half, "float32")

    def emitter(self, program: Program, target: Target) -> Emitter:
        """Returns an emitter for ``program``."""
        from edgeopt_tvm.emitter import Emitter  # noqa: PLC0415 (the toolchain)
        from edgeopt_tvm.machine import machine_of  # noqa: PLC0415

        return Emitter(program, machine_of(target))

    def write(self, lowered: Lowered, options: CompileOptions) -> ModelFiles:
        """Returns a library, and a program that uses it; a program alone where no Python is.

        Raises:
            TargetError: There is no compiler for the target's processor.
            CompileError: TVM or zig failed.
        """
        from edgeopt_tvm.compiler import compile_emitted  # noqa: PLC0415 (the toolchain)

        return compile_emitted(lowered.model, lowered.target, options)

    def device_model(self) -> Any:
        """Returns the model that runs on the device."""
        from edgeopt_tvm.device.runtime import Model  # noqa: PLC0415 (imports numpy)

        return Model

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine.

        Raises:
            DeviceError: It is for another kind of machine.
        """
        from edgeopt_tvm.runner import require_loadable  # noqa: PLC0415 (imports the machine)

        require_loadable(artifact)
        return super().load(artifact, threads=threads)

    def application(self, artifact: Artifact, language: str) -> CallSource | None:
        """Returns how ``artifact`` is called from an application; None where it is not in that language."""
        from edgeopt_tvm.application import call_source  # noqa: PLC0415 (keeps construction light)

        return call_source(artifact, language)

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns what must be on the device: numpy for Python, or nothing.

        Raises:
            TargetError: The device has a Python for which no numpy exists.
        """
        from edgeopt_tvm.packaging import device_runtime  # noqa: PLC0415 (keeps construction light)

        return device_runtime(target)

    def join(self, bundled: BundledPrograms, target: Target) -> list[Artifact]:
        """Returns the artefacts of a bundle, all programs in one library; as `JoinsPrograms`.

        Raises:
            CompileError: zig failed.
        """
        from edgeopt_tvm.packaging import joined  # noqa: PLC0415 (the toolchain)

        return joined(bundled, target)

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

        return tune_program(program, target, options, device=device, watch=watch)
