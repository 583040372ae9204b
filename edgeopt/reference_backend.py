"""The reference as a backend: runs a program in torch, on the machine that has torch.

It is what other backends are compared with, and the shortest example of one.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.contracts import Artifact, DeviceRuntime, Lowered, SupportReport, Wheel
from edgeopt.errors import TargetError
from edgeopt.progress import report_progress

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.contracts import Runner, Target
    from edgeopt.ir import Program
    from edgeopt.options import CompileOptions

__all__ = ["ReferenceBackend"]

ENTRY = "program.zip"
_NEEDS = ("torch", "numpy", "safetensors", "msgspec", "edgeopt")
_RUNNER = '''\
"""Runs a program in torch. Needs edgeopt itself on the device."""

from pathlib import Path

import torch

from edgeopt.ir import ReferenceRunner, load_program


class Model:
    """The program, loaded."""

    def __init__(self, path, metadata, threads):
        if threads:
            torch.set_num_threads(threads)
        self._runner = ReferenceRunner(load_program(Path(path)))

    def __call__(self, *inputs):
        result = self._runner(*inputs)
        return list(result) if isinstance(result, tuple) else [result]

    def facts(self):
        return self._runner.facts()
'''


class ReferenceBackend:
    """Runs every program, on this machine only; says nothing about a device's speed."""

    name = "reference"
    simulates = True  # its time says nothing of a device: no speed is measured

    def available(self) -> str | None:
        """Returns None: torch is a requirement of edgeopt itself."""
        return None

    def versions(self) -> dict[str, str]:
        """Returns the version of torch."""
        return {"torch": metadata.version("torch")}

    def precisions(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns all precisions."""
        return ("int8", "float32", "int8-dynamic", "int4-dynamic", "int16x8", "float16")

    def passes(self, target: Target) -> tuple[str, ...]:  # noqa: ARG002 (the contract's)
        """Returns no pass: the reference runs the program as it is."""
        return ()

    def lower(self, program: Program, target: Target) -> Lowered:
        """Returns the program after `passes`: torch runs every operator."""
        from edgeopt.ir.kernel_kind import node_support  # noqa: PLC0415 (imports torch)
        from edgeopt.passes import run_passes  # noqa: PLC0415 (imports torch)

        nodes = [n for n in program.graph.nodes if n.op == "call_function"]
        rows = tuple(node_support(program, node) for node in nodes)
        lowered = run_passes(program, self.passes(target))
        return Lowered(lowered, target, SupportReport(self.name, target.name, rows))

    def compile(
        self,
        lowered: Lowered,
        options: CompileOptions,  # noqa: ARG002 (nothing to choose)
    ) -> Artifact:
        """Returns the program's archive."""
        program, target = lowered.program, lowered.target
        archive = _archive(program)
        report_progress("compile", 1, 1)
        return Artifact(
            backend=self.name,
            target=target.name,
            precision=program.precision,
            signature=program.signature,
            files={ENTRY: archive},
            entry=ENTRY,
            program_digest=program.digest,
            tools=self.versions(),
            operators=_operators(program),
        )

    def load(self, artifact: Artifact, *, threads: int = 0) -> Runner:
        """Returns a runner of the program, with ``threads`` threads of torch (0: as they are)."""
        from edgeopt.ir import ReferenceRunner, decode_program  # noqa: PLC0415 (imports torch)

        program = decode_program(artifact.files[artifact.entry], where=artifact.entry)
        runner = ReferenceRunner(program)
        return _Threaded(runner, threads) if threads else runner

    def device_runtime(self, target: Target) -> DeviceRuntime:
        """Returns torch and edgeopt as they are here, for this machine only.

        Raises:
            TargetError: The target is another machine.
        """
        if target.name != "host":
            raise TargetError(
                "the reference backend needs torch and edgeopt on the device; it is made for checks",
                where=target.name,
                hint="choose another backend (`edgeopt backends` lists them), or the target host",
            )
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        wheels = tuple(Wheel(name, metadata.version(name), (python,)) for name in _NEEDS)
        notes = ("runs in torch: for checks, not for devices",)
        return DeviceRuntime(name="torch", wheels=wheels, runner=_RUNNER, notes=notes)


class _Threaded:
    """A runner that sets torch's number of threads for its own calls only."""

    def __init__(self, runner: Runner, threads: int) -> None:
        self._runner = runner
        self._threads = threads

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        import torch  # noqa: PLC0415 (heavy)

        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return self._runner(*inputs)
        finally:
            torch.set_num_threads(before)

    def facts(self) -> dict[str, Any]:
        return {**self._runner.facts(), "threads": self._threads}

    def close(self) -> None:
        self._runner.close()


def _archive(program: Program) -> bytes:
    from edgeopt.ir import save_program  # noqa: PLC0415 (imports torch)

    with tempfile.TemporaryDirectory() as folder:
        return save_program(program, Path(folder) / ENTRY).read_bytes()


def _operators(program: Program) -> dict[str, int]:
    from edgeopt.ir.source import operator_name  # noqa: PLC0415 (imports torch)

    counts: dict[str, int] = {}
    for node in program.graph.nodes:
        if node.op == "call_function":
            counts[operator_name(node)] = counts.get(operator_name(node), 0) + 1
    return dict(sorted(counts.items()))
