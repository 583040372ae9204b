"""The plugin: what `edgeopt.contracts.Backend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.lowering import RuleBackend

if TYPE_CHECKING:
    from edgeopt.contracts import DeviceRuntime, Lowered, Target
    from edgeopt.ir import Program
    from edgeopt.lowering import ModelFiles
    from edgeopt.options import CompileOptions
    from edgeopt_tflite.emitter import Emitter

__all__ = ["TFLiteBackend"]


class TFLiteBackend(RuleBackend):
    """Compiles programs to TFLite files, which LiteRT runs."""

    name = "tflite"
    runtime = "the TFLite runtime"
    distribution = "edgeopt-tflite"
    toolchain: ClassVar = {"ai-edge-litert": "ai_edge_litert", "flatbuffers": "flatbuffers"}

    def passes(self, target: Target) -> tuple[str, ...]:
        """Returns the passes that TFLite needs.

        It has no attention operator. LiteRT's linear with int8 weights rounds its float input,
        which `edgeopt_tflite.passes` writes into the program; tflite-runtime has none for weights
        with one scale a channel, so there they become float when the model is loaded.
        """
        old = target.cpu.arch == "armv7"
        rounding = "edgeopt_tflite.passes:round_linear_inputs"
        return ("decompose_attention",) if old else ("decompose_attention", rounding)

    def emitter(self, program: Program, target: Target) -> Emitter:  # noqa: ARG002 (all alike)
        """Returns an emitter for ``program``."""
        from edgeopt_tflite.emitter import Emitter  # noqa: PLC0415 (imports the toolchain)

        return Emitter(program)

    def write(
        self,
        lowered: Lowered,
        options: CompileOptions,  # noqa: ARG002 (threads are chosen when it is loaded)
    ) -> ModelFiles:
        """Returns the file, which names precision and target."""
        from edgeopt_tflite.compiler import model_files  # noqa: PLC0415 (imports torch)

        description = f"edgeopt {lowered.program.precision} {lowered.target.name}"
        return model_files(lowered.model, description)

    def device_model(self) -> Any:
        """Returns the model that runs on the device, by LiteRT or tflite-runtime."""
        from edgeopt_tflite.device.runtime import Model  # noqa: PLC0415 (imports numpy)

        return Model

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns LiteRT, or tflite-runtime where LiteRT has no wheel.

        Raises:
            TargetError: No runtime exists for that CPU, C library or Python.
        """
        from edgeopt.contracts import DeviceRuntime  # noqa: PLC0415 (keeps construction light)
        from edgeopt_tflite.wheels import runtime_wheels  # noqa: PLC0415

        name, wheels, notes = runtime_wheels(target)
        folder = resources.files("edgeopt_tflite.device")
        source = folder.joinpath("runtime.py").read_text(encoding="utf-8")
        helpers = ("edgeopt_litert_names.py", "edgeopt_litert_profiler.py")
        files = {file: folder.joinpath(file).read_bytes() for file in helpers}
        return DeviceRuntime(name, wheels, source, files=files, notes=notes)
