"""The backend: programs as C libraries for microcontrollers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar

from edgeopt.contracts.storage import Precision
from edgeopt.lowering import ModelFiles, RuleBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edgeopt.contracts import DeviceRuntime, Lowered, MemoryUse, Target
    from edgeopt.ir import Program
    from edgeopt.lowering.runner import DeviceModel
    from edgeopt.options import CompileOptions
    from edgeopt_micro.emitter import Emitter

__all__ = ["MicroBackend"]


class MicroBackend(RuleBackend):
    """Writes programs as C source, and compiles them for cores without an operating system."""

    name = "micro"
    runtime = "C"
    distribution = "edgeopt"
    extra = "micro"
    toolchain: ClassVar[Mapping[str, str]] = {"ziglang": "ziglang"}
    simulates = True  # here its kernels are those of no device: no speed is measured

    def precisions(self, target: Target) -> tuple[str, ...]:
        """Returns int8, and float32 where the core has an FPU."""
        micro = target.microcontroller
        if micro is not None and micro.fpu == "none":
            return (Precision.INT8.value,)
        return (Precision.INT8.value, Precision.INT8_DYNAMIC.value, Precision.FLOAT32.value)

    def passes(self, target: Target) -> tuple[str, ...]:
        """Returns the target passes: attention as its products."""
        del target
        return ("decompose_attention",)

    def emitter(self, program: Program, target: Target) -> Emitter:
        """Returns a writer of ``program``."""
        from edgeopt_micro import operators  # noqa: F401, PLC0415 (enters the rules; imports torch)
        from edgeopt_micro.emitter import Emitter  # noqa: PLC0415 (imports torch)

        return Emitter(program, target)

    def write(self, lowered: Lowered, options: CompileOptions) -> ModelFiles:
        """Returns the library's source and, for a microcontroller, the library."""
        from edgeopt_micro.library import library_files  # noqa: PLC0415 (imports numpy)

        del options
        emitter: Emitter = lowered.model
        library = library_files(lowered.program, emitter, lowered.target)
        counts = Counter(step.call.function for step in emitter.steps)
        return ModelFiles(
            entry=library.entry,
            files=library.files,
            metadata=library.metadata,
            operators=counts,
            origins={step.name: step.name for step in emitter.steps},
        )

    def fit(self, lowered: Lowered, arena_bytes: int) -> None:
        """Has ``lowered`` take an arena of ``arena_bytes`` at most, if it can: layers go by stripes of rows."""
        emitter: Emitter = lowered.model
        emitter.fit(arena_bytes)

    def memory(self, lowered: Lowered) -> MemoryUse:
        """Returns what ``lowered`` will take of flash and RAM."""
        from edgeopt_micro.estimate import memory_use  # noqa: PLC0415 (imports numpy)

        return memory_use(lowered.model)

    def device_model(self) -> Callable[[str, dict[str, Any], int], DeviceModel]:
        """Returns the model's source, compiled for this machine."""
        from edgeopt_micro.host import HostModel  # noqa: PLC0415 (imports numpy)

        return HostModel

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns what drives a board from the machine that it is connected to."""
        from edgeopt_micro.board import board_runtime  # noqa: PLC0415 (rarely needed)

        del target
        return board_runtime()
