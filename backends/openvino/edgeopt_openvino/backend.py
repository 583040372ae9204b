"""The plugin: what `edgeopt.lowering.RuleBackend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.contracts.storage import INT8, Precision
from edgeopt.lowering import RuleBackend

if TYPE_CHECKING:
    from edgeopt.contracts import DeviceRuntime, Lowered, Target
    from edgeopt.ir import Program
    from edgeopt.lowering import ModelFiles
    from edgeopt.options import CompileOptions
    from edgeopt_openvino.emitter import Emitter

__all__ = ["OpenVINOBackend"]


class OpenVINOBackend(RuleBackend):
    """Compiles programs to OpenVINO models, which has every operator."""

    name = "openvino"
    runtime = "OpenVINO"
    distribution = "edgeopt-openvino"
    toolchain: ClassVar = {"openvino": "openvino"}
    saturates = True

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns all precisions; of 16 bits all is computed in float, between the reference's roundings."""
        return (*super().precisions(target), Precision.INT16X8.value)

    def passes(self, target: Target) -> tuple[str, ...]:
        """Returns the pass that says how linears with int8 weights round their input, where the runtime does.

        It does with AVX512-VNNI. With AMX its kernels are others, and with AVX-VNNI alone nobody has compared them.
        """
        isa = target.cpu.isa
        rounds = "avx512_vnni" in isa and "amx_int8" not in isa
        return ("edgeopt_openvino.passes:round_linear_inputs",) if rounds else ()

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

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns OpenVINO with versions that exist for the device.

        Raises:
            TargetError: No wheel exists for that CPU, C library or Python.
        """
        from edgeopt.contracts import DeviceRuntime  # noqa: PLC0415 (keeps construction light)
        from edgeopt_openvino.wheels import runtime_wheels  # noqa: PLC0415

        source = resources.files("edgeopt_openvino.device").joinpath("runtime.py")
        return DeviceRuntime("OpenVINO", runtime_wheels(target), source.read_text(encoding="utf-8"))
