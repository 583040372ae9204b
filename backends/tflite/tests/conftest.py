"""Compiles small models and compares them with the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from edgeopt.ir import Program, ReferenceRunner, capture_module
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core, run_passes
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry.target_registry import find_target
from edgeopt_tflite import TFLiteBackend

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact, Runner

PLAIN = {
    "ranges": "minmax",
    "equalization": "off",
    "smoothing": "off",
    "bias_correction": "off",
    "rounding": "nearest",
}
SAMPLES = 2


@dataclass(frozen=True)
class Case:
    """A model, compiled."""

    program: Program
    artifact: Artifact
    runner: Runner
    samples: list[tuple[np.ndarray, ...]]

    def count(self, *operators: str) -> int:
        return sum(self.artifact.operators.get(name, 0) for name in operators)

    @cached_property
    def outputs(self) -> list[tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]]:
        """(reference, runtime) for each sample."""
        reference = ReferenceRunner(self.program)
        return [(_tuple(reference(*s)), _tuple(self.runner(*s))) for s in self.samples]

    def assert_close(self, tolerance: float = 1e-5, output: str | None = None) -> None:
        """Checks float outputs against the largest value of each, and all others for equality."""
        names = [spec.name for spec in self.program.signature.outputs]
        for wanted, got in self.outputs:
            for name, a, b in zip(names, wanted, got, strict=True):
                if output not in (None, name):
                    continue
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                if a.dtype.kind != "f":
                    np.testing.assert_array_equal(a, b)
                    continue
                room = tolerance * max(1.0, float(np.abs(a).max(initial=0.0)))
                np.testing.assert_allclose(a, b, rtol=0, atol=room)

    def assert_steps(self, most: float = 0.0, share: float = 0.0) -> None:
        """Checks outputs on a grid: at most ``most`` steps off, in ``share`` of the values."""
        for wanted, got in self.outputs:
            for name, a, b in zip(self.program.output_names, wanted, got, strict=True):
                assert a.shape == b.shape
                off = np.abs(a - b) / float(self.program.quant[name].scale[0])
                assert off.max() <= most + 1e-3
                assert (off > 0.5).mean() <= share


def _tuple(result: Any) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


def _like(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    if tensor.is_floating_point():
        return torch.randn(tensor.shape, generator=generator)
    if tensor.dtype is torch.bool:
        return torch.rand(tensor.shape, generator=generator) > 0.5
    return torch.randint(0, 8, tensor.shape, generator=generator, dtype=tensor.dtype)


class Function(torch.nn.Module):
    """A function as a module, with parameters for what it closes over."""

    def __init__(self, function: Any, **modules: torch.nn.Module) -> None:
        super().__init__()
        self._function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self._function(self, *inputs) if self._modules else self._function(*inputs)


@pytest.fixture(scope="session")
def backend():
    return TFLiteBackend()


@pytest.fixture(scope="session")
def target():
    return find_target("generic-x86-64-v3")


@pytest.fixture(scope="session")
def program_of():
    """Returns a function that makes the program of a model, and its samples."""

    def make(
        model: Any, *inputs: torch.Tensor, precision: str = "float32", overrides: Any = None,
        **modules: Any,
    ):  # fmt: skip
        module = model if isinstance(model, torch.nn.Module) else Function(model, **modules)
        program = run_core(capture_module(module.eval(), inputs))
        generator = torch.Generator().manual_seed(1)
        samples = [tuple(_like(t, generator) for t in inputs) for _ in range(SAMPLES)]
        config = QuantizationConfig(precision=precision, overrides=overrides or {}, **PLAIN)
        data = samples if precision == "int8" else None
        if precision != "float32":
            program = quantize_program(program, data, config)
        return program, [tuple(t.numpy() for t in s) for s in samples]

    return make


@pytest.fixture(scope="session")
def compiled(backend, target, program_of):
    """Returns a function that compiles a module or a function for some inputs."""

    def compile_model(model: Any, *inputs: torch.Tensor, on: Any = None, **options: Any) -> Case:
        torch.manual_seed(0)
        program, samples = program_of(model, *inputs, **options)
        device = on or target
        program = run_passes(program, backend.passes(device))
        artifact = backend.compile(backend.lower(program, device), CompileOptions())
        return Case(program, artifact, backend.load(artifact, threads=1), samples)

    return compile_model
