"""The plugin: what `edgeopt.contracts.Backend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.contracts.storage import Precision
from edgeopt.installation import install_command
from edgeopt.lowering import RuleBackend
from edgeopt.lowering.few_bits import only_linears_read

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact, CallSource, DeviceRuntime, Lowered, Runner, Target
    from edgeopt.ir import Program, QuantSpec
    from edgeopt.lowering import ModelFiles
    from edgeopt.options import CompileOptions
    from edgeopt_tflite.emitter import Emitter

__all__ = ["TFLiteBackend"]

_HELPERS = ("edgeopt_tflite_ports.py", "edgeopt_litert_names.py", "edgeopt_litert_profiler.py")
"""Modules that the device's runtime imports; the first of them on any."""


class TFLiteBackend(RuleBackend):
    """Compiles programs to TFLite files, which LiteRT runs."""

    name = "tflite"
    runtime = "the TFLite runtime"
    distribution = "edgeopt"
    extra = "tflite"
    toolchain: ClassVar = {"ai-edge-litert": "ai_edge_litert", "flatbuffers": "flatbuffers"}

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns all precisions; those with kernels of one type where TFLite for Micro runs them."""
        if target.microcontroller is not None:
            return (Precision.INT8.value, Precision.FLOAT32.value)
        few_bits = () if _is_old(target) else (Precision.INT4_DYNAMIC.value,)
        return (*super().precisions(target), *few_bits, Precision.INT16X8.value)

    def keeps_packed(self, program: Program, name: str, spec: QuantSpec, target: Target) -> bool:
        """Returns whether LiteRT's kernels unpack a weight: those of linears, with one step a channel, do."""
        whole = spec.granularity == "channel" and not bool(spec.zero_point.any())
        floats = not program.precision.is_integer and not _is_old(target)
        return whole and floats and only_linears_read(program, name)

    def passes(self, target: Target) -> tuple[str, ...]:
        """Returns the passes that TFLite needs.

        It has no attention operator. LiteRT's linear with int8 weights rounds its float input,
        which `edgeopt_tflite.passes` writes into the program; tflite-runtime has none for weights
        with one scale a channel, so there they become float when the model is loaded, and TFLite
        for Micro has none at all.
        """
        rounding = "edgeopt_tflite.passes:round_linear_inputs"
        return ("decompose_attention",) if _is_old(target) else ("decompose_attention", rounding)

    def emitter(self, program: Program, target: Target) -> Emitter:
        """Returns an emitter for ``program``; TFLite for Micro has fewer kernels.

        Functions of an int8 value are looked up where floats cost: without an FPU, and for an NPU, whose compiler
        refuses a file with float operators that it has for int8.
        """
        from edgeopt_tflite.emitter import Emitter  # noqa: PLC0415 (imports the toolchain)
        from edgeopt_tflite.micro.emitter import MicroEmitter  # noqa: PLC0415 (the same)

        micro = target.microcontroller
        kind = Emitter if micro is None else MicroEmitter
        no_floats = target.npu is not None or (micro is not None and micro.fpu == "none")
        return kind(program, tables_only=no_floats)

    def write(
        self,
        lowered: Lowered,
        options: CompileOptions,  # noqa: ARG002 (threads are chosen when it is loaded)
    ) -> ModelFiles:
        """Returns the file, which names precision and target.

        For a microcontroller its C source lies beside it, for an Ethos-U the int8 file for that.

        Raises:
            PluginError: TFLite for Micro's wheel, or Vela, is needed, and is not installed.
            CompileError: They cannot run or compile the file.
        """
        from edgeopt_tflite.compiler import model_files  # noqa: PLC0415 (imports torch)
        from edgeopt_tflite.ethos_u import with_ethos_u  # noqa: PLC0415 (the same)
        from edgeopt_tflite.micro.compiler import micro_files  # noqa: PLC0415 (the same)

        program, target = lowered.program, lowered.target
        model = model_files(lowered.model, f"edgeopt {program.precision} {target.name}")
        if target.microcontroller is not None:
            model = micro_files(model)
        if target.npu is not None and program.precision is Precision.INT8:
            model = with_ethos_u(model, target.npu)
        return model

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine, by the runtime that the device has.

        Raises:
            PluginError: The runtime is not installed here.
            DeviceError: The artefact cannot be loaded.
        """
        from edgeopt.lowering.runner import load_artifact  # noqa: PLC0415 (imports numpy)

        if "micro" not in artifact.metadata:
            return super().load(artifact, threads=threads)
        return load_artifact(
            artifact,
            _micro_model,
            threads,
            runtime="TFLite for Micro",
            install=install_command("tflite-micro"),
        )

    def device_model(self) -> Any:
        """Returns the model that runs on the device, by LiteRT or tflite-runtime."""
        from edgeopt_tflite.device.runtime import Model  # noqa: PLC0415 (imports numpy)

        return Model

    def application(self, artifact: Artifact, language: str) -> CallSource | None:
        """Returns how ``artifact`` is called from an application; None where it is not in that language."""
        from edgeopt_tflite.application import call_source  # noqa: PLC0415 (keeps construction light)

        return call_source(artifact, language)

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns LiteRT, or tflite-runtime where LiteRT has no wheel; no wheels for a microcontroller.

        Raises:
            TargetError: No runtime exists for that CPU, C library or Python.
        """
        from edgeopt.contracts import DeviceRuntime  # noqa: PLC0415 (keeps construction light)
        from edgeopt_tflite.wheels import MICRO_RUNTIME, runtime_wheels  # noqa: PLC0415

        micro = target.microcontroller is not None
        name, wheels, notes = MICRO_RUNTIME if micro else runtime_wheels(target)
        folder = resources.files("edgeopt_tflite.device")
        runner = folder.joinpath("micro_runtime.py" if micro else "runtime.py")
        helpers = _HELPERS[:1] if micro else _HELPERS
        files = {file: folder.joinpath(file).read_bytes() for file in helpers}
        source = runner.read_text(encoding="utf-8")
        return DeviceRuntime(name, wheels, source, files=files, notes=notes)


def _is_old(target: Target) -> bool:
    """Returns whether its runtime has no linear of integer weights with float inputs."""
    return target.cpu.arch == "armv7" or target.microcontroller is not None


def _micro_model() -> Any:
    from edgeopt_tflite.device.micro_runtime import Model  # noqa: PLC0415 (imports numpy)

    return Model
