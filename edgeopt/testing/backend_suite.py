"""What the suites for backends share: the backend, and specimens compiled by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from edgeopt.contracts.storage import Precision
from edgeopt.options import CompileOptions
from edgeopt.testing.cases import ConformanceCases
from edgeopt.testing.specimens import program_of, specimen

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from edgeopt.contracts import Artifact, Backend, Lowered, Runner, Target
    from edgeopt.ir import Program

__all__ = ["BackendSuite", "Compiled", "as_tuple"]


@dataclass(frozen=True)
class Compiled:
    """A specimen, compiled and loaded."""

    program: Program
    lowered: Lowered
    artifact: Artifact
    runner: Runner


class BackendSuite(ConformanceCases):
    """The fixtures, and each specimen compiled once; a suite is a subclass."""

    _made: ClassVar[dict[tuple[Any, ...], Compiled]] = {}

    @pytest.fixture
    def backend(self) -> Backend:
        """Returns the backend under test; the subclass gives it."""
        raise NotImplementedError("give a fixture `backend`")

    @pytest.fixture
    def target(self) -> Target:
        """Returns a target that it compiles for; the subclass gives it."""
        raise NotImplementedError("give a fixture `target`")

    def _program(self, target: Target, name: str, precision: str, **settings: Any) -> Program:
        """Returns a specimen as `edgeopt.deploy` would quantize it for ``target``."""
        if precision == Precision.INT8:
            settings = {"weight_bits": target.quantization.weight_bits, **settings}
        return program_of(name, precision, **settings)

    def _compiled(
        self, backend: Backend, target: Target, name: str, precision: str, **settings: Any
    ) -> Compiled:
        key = (type(backend), target.name, name, precision, str(settings))
        if key not in self._made:
            program = self._program(target, name, precision, **settings)
            lowered = backend.lower(program, target)
            artifact = backend.compile(lowered, CompileOptions())
            self._made[key] = Compiled(program, lowered, artifact, backend.load(artifact))
        return self._made[key]

    def _bundle(
        self, made: Compiled, backend: Backend, target: Target, name: str, path: Path
    ) -> Any:
        from edgeopt.bundles import GoldenSamples, Tolerance, write_bundle  # noqa: PLC0415

        inputs = [[t.numpy() for t in sample] for sample in specimen(name).samples[:2]]
        golden = GoldenSamples.record(made.runner, inputs, Tolerance(atol=1e-6))
        runtime = backend.device_runtime(target)
        return write_bundle(made.artifact, runtime, target, path=path, golden=golden)


def as_tuple(result: Any) -> tuple[np.ndarray, ...]:
    """Returns the outputs of a runner as a tuple, also where there is one."""
    return result if isinstance(result, tuple) else (result,)
