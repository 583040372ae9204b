"""The plugin: what `edgeopt.lowering.RuleBackend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.contracts.storage import INT8, Precision
from edgeopt.lowering import RuleBackend
from edgeopt.lowering.few_bits import only_linears_read

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact, CallSource, DeviceRuntime, Lowered, Target
    from edgeopt.ir import Program, QuantSpec
    from edgeopt.lowering import ModelFiles
    from edgeopt.options import CompileOptions
    from edgeopt_openvino.emitter import Emitter

__all__ = ["OpenVINOBackend"]


class OpenVINOBackend(RuleBackend):
    """Compiles programs to OpenVINO models."""

    name = "openvino"
    runtime = "OpenVINO"
    distribution = "edgeopt"
    extra = "openvino"
    toolchain: ClassVar = {"openvino": "openvino"}
    saturates = True
    groups = True

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns all precisions; of 16 bits all is computed in float, between the reference's roundings."""
        few_bits, shorts = Precision.INT4_DYNAMIC.value, Precision.INT16X8.value
        return (*super().precisions(target), few_bits, shorts)

    def keeps_packed(
        self,
        program: Program,
        name: str,
        spec: QuantSpec,  # noqa: ARG002 (of any grid)
        target: Target,  # noqa: ARG002 (on any)
    ) -> bool:
        """Returns whether its kernels unpack a weight: those of linears with float inputs do, and an even number of them.

        Of an odd number (OpenVINO 2026.4) every second row of a packed weight is read half a byte off.
        """
        if program.precision.is_integer or not only_linears_read(program, name):
            return False
        return program.constants[name].shape[1] % 2 == 0

    def passes(self, target: Target) -> tuple[str, ...]:
        """Returns the pass that declares rounded inputs of linears, where the runtime multiplies bytes.

        Where that is, and how inputs are rounded there, was measured on AVX-512 VNNI. With AMX its kernels are others,
        and with AVX-VNNI alone nobody has compared them: there inputs stay float.
        """
        isa = target.cpu.isa
        bytewise = "avx512_vnni" in isa and "amx_int8" not in isa
        return ("edgeopt_openvino.passes:round_input_groups",) if bytewise else ()

    def emitter(self, program: Program, target: Target) -> Emitter:
        """Returns an emitter for ``program``."""
        from edgeopt_openvino.emitter import Emitter  # noqa: PLC0415 (the toolchain)

        return Emitter(program, saturates=target.quantization.weight_bits < INT8.bits)

    def write(
        self,
        lowered: Lowered,
        options: CompileOptions,  # noqa: ARG002 (threads are chosen when it is loaded)
    ) -> ModelFiles:
        """Returns the model's two files."""
        from edgeopt_openvino.compiler import model_files  # noqa: PLC0415 (the toolchain)

        return model_files(lowered.program, lowered.model.model)

    def device_model(self) -> Any:
        """Returns the model that runs on the device."""
        from edgeopt_openvino.device.runtime import Model  # noqa: PLC0415 (the toolchain)

        return Model

    def application(self, artifact: Artifact, language: str) -> CallSource | None:
        """Returns how ``artifact`` is called from an application; None where it is not in that language."""
        from edgeopt_openvino.application import call_source  # noqa: PLC0415 (keeps construction light)

        return call_source(artifact, language)

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns OpenVINO with versions that exist for the device.

        Raises:
            TargetError: No wheel exists for that CPU, C library or Python.
        """
        from edgeopt.contracts import DeviceRuntime  # noqa: PLC0415 (keeps construction light)
        from edgeopt_openvino.wheels import runtime_wheels  # noqa: PLC0415

        source = resources.files("edgeopt_openvino.device").joinpath("runtime.py")
        return DeviceRuntime("OpenVINO", runtime_wheels(target), source.read_text(encoding="utf-8"))
