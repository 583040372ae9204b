"""The plugin: what `edgeopt.contracts.Backend` asks for, each part in a module of its own."""

from __future__ import annotations

from importlib import metadata, resources
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact, DeviceRuntime, Progress, Runner, SupportReport, Target
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions

__all__ = ["TFLiteBackend"]

_TOOLCHAIN = ("ai-edge-litert", "flatbuffers")


class TFLiteBackend:
    """Compiles programs to TFLite files, which LiteRT runs."""

    name = "tflite"

    def available(self) -> str | None:
        """Returns None where LiteRT is installed, else what to type."""
        missing = [m for m in ("ai_edge_litert", "flatbuffers") if find_spec(m) is None]
        return "pip install ai-edge-litert flatbuffers" if missing else None

    def versions(self) -> dict[str, str]:
        """Returns the versions of LiteRT and of the library that writes its files."""
        found = {}
        for name in _TOOLCHAIN:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return found

    def precisions(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns all precisions, int8 first."""
        return ("int8", "int8-dynamic", "float16", "float32")

    def passes(self, target: Target) -> tuple[str, ...]:
        """Returns the passes that TFLite needs.

        It has no attention operator. LiteRT's linear with int8 weights rounds its float input,
        which `edgeopt_tflite.passes` writes into the program; tflite-runtime has none for weights
        with one scale a channel, so there they become float when the model is loaded.
        """
        old = target.cpu.arch == "armv7"
        rounding = "edgeopt_tflite.passes:round_linear_inputs"
        return ("decompose_attention",) if old else ("decompose_attention", rounding)

    def support(self, program: Program, target: Target) -> SupportReport:
        """Returns one verdict for each node, from what is written for it."""
        from edgeopt.passes import run_passes  # noqa: PLC0415 (imports torch)
        from edgeopt_tflite.emitter import Emitter  # noqa: PLC0415 (imports the toolchain)
        from edgeopt_tflite.support import report_of  # noqa: PLC0415

        lowered = run_passes(program, self.passes(target))
        emitter = Emitter(lowered)
        emitter.run()
        return report_of(program, lowered, target, emitter)

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
            CompileError: A lowering failed.
        """
        from edgeopt_tflite.compiler import compile_program  # noqa: PLC0415 (the toolchain)

        return compile_program(program, target, progress)

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of ``artifact`` on this machine.

        Raises:
            PluginError: No TFLite runtime is installed.
            DeviceError: The runtime here cannot load it.
        """
        from edgeopt_tflite.runner import load_artifact  # noqa: PLC0415 (imports torch)

        return load_artifact(artifact, threads)

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
