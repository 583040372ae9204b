"""Programs, compiled and run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from edgeopt.ir import ReferenceRunner, capture_module
from edgeopt.options import CompileOptions
from edgeopt.passes import run_core, run_passes
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry.target_registry import find_target
from edgeopt_openvino import OpenVINOBackend

if TYPE_CHECKING:
    from edgeopt.ir import Program


PLAIN = "generic-x86-64-v3"
"""A target without instructions for products of bytes."""


@dataclass
class Made:
    """A program, its artefact, and what both say to the same inputs."""

    program: Program
    artifact: Any
    runner: Any
    samples: list[tuple[np.ndarray, ...]]

    def pairs(self):
        """Yields what the reference says and what OpenVINO says, output by output."""
        reference = ReferenceRunner(self.program)
        for sample in self.samples:
            wanted, got = reference(*sample), self.runner(*sample)
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            got = got if isinstance(got, tuple) else (got,)
            yield from zip(wanted, got, strict=True)

    def worst(self):
        """Returns the largest difference from the reference, in steps of the output's grid."""
        steps = [self.program.quant.get(n) for n in self.program.output_names]
        unit = [float(s.scale[0]) if s is not None else 1.0 for s in steps] * len(self.samples)
        pairs = zip(self.pairs(), unit, strict=True)
        return max(float(np.abs(a - b).max()) / u for (a, b), u in pairs)

    def kernels(self):
        """Returns the runtime's operators: (kind, precision, names of ours that it took in)."""
        compiled = self.runner._model._request.get_compiled_model()
        found = []
        for operator in compiled.get_runtime_model().get_ordered_ops():
            told = {
                k: v.astype(str) for k, v in operator.get_rt_info().items() if k != "attributes"
            }
            names = told.get("originalLayersNames", "").split(",")
            found.append((told["layerType"], told["runtimePrecision"], names))
        return found


@pytest.fixture
def make():
    """Returns a function: model and example inputs to `Made`."""
    torch.manual_seed(0)

    def build(model, *example, precision="int8", count=4, program=None, on=PLAIN, **settings):
        samples = [tuple(_like(t) for t in example) for _ in range(count)]
        if program is None:
            program = run_core(capture_module(model.eval(), example))
        if precision != "float32":
            settings.setdefault("weight_bits", find_target("host").quantization.weight_bits)
            data = samples if precision == "int8" else None
            config = QuantizationConfig(precision=precision, rounding="nearest", **settings)
            program = quantize_program(program, data, config)
        backend = OpenVINOBackend()
        target = find_target(on)
        artifact = backend.compile(backend.lower(program, target), CompileOptions())
        arrays = [tuple(t.numpy() for t in sample) for sample in samples]
        program = run_passes(program, backend.passes(target))  # what it declares to change
        return Made(program, artifact, backend.load(artifact, threads=1), arrays)

    return build


def _like(tensor):
    if tensor.dtype.is_floating_point:
        return torch.randn(tensor.shape)
    if tensor.dtype is torch.bool:
        return torch.rand(tensor.shape) < 0.5
    return torch.randint(0, 10, tensor.shape, dtype=tensor.dtype)
