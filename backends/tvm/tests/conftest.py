"""Programs, written for this machine and run kernel by kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from edgeopt.contracts.storage import Precision
from edgeopt.ir import ReferenceRunner, capture_module, kernel_kind
from edgeopt.passes import run_core
from edgeopt.quantization import QuantizationConfig, quantize_program
from edgeopt.registry import find_target
from edgeopt_tvm.machine import machine_of

if TYPE_CHECKING:
    from edgeopt.ir import Program


@dataclass
class Made:
    """A program, what it was lowered to, and inputs."""

    program: Program
    emitter: Any
    executable: Any
    run: Any
    samples: list[tuple[np.ndarray, ...]]

    def require_equal(self, labels=()):
        """Checks that outputs are the reference's: of integer programs, to the integer."""
        assert not self.emitter.refused
        reference = ReferenceRunner(self.program)
        names = self.program.output_names
        for sample in self.samples:
            wanted, got = reference(*sample), self.run(*sample)
            wanted = wanted if isinstance(wanted, tuple) else (wanted,)
            for name, one, other, label in zip(names, wanted, got, labels or names, strict=True):
                assert (one.shape, one.dtype) == (other.shape, other.dtype), label
                self._compare(name, one, other, label)

    def _compare(self, name, wanted, got, label):
        spec = self.program.quant.get(name)
        if wanted.dtype.kind == "f" and (spec is None or self._is_computed_in_float(name)):
            step = 0.0 if spec is None else float(spec.scale[0]) * 1.01
            limit = max(2e-6, step)
            np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=limit, err_msg=label)
        else:
            np.testing.assert_array_equal(got, wanted, err_msg=label)

    def _is_computed_in_float(self, name):
        """Returns whether something on the way has no grid: then ties may fall either way."""
        exact = ("add", "sub", "mul", "mean", "conv", "linear", "relu", "clamp", "sigmoid", "tanh",
                 "reshape", "permute", "slice", "flip", "roll", "cat", "pad", "expand", "alias",
                 "max_pool", "avg_pool", "nearest", "gelu", "hardswish", "elu")  # fmt: skip
        nodes = [n for n in self._ancestors(name) if n.op == "call_function"]
        return any(
            not any(word in str(n.target) for word in exact) or self._has_float_kernel(n)
            for n in nodes
        )

    def _has_float_kernel(self, node):
        """Returns whether TVM computes in float what the program says runs on integers."""
        kind = kernel_kind(self.program, node)
        return kind.kind == "integer" and self.emitter.runs_as(node, kind).kind == "float"

    def _ancestors(self, name):
        """Returns the value called ``name`` and all that it is made of."""
        pending, known = [self.program.node(name)], set()
        while pending:
            node = pending.pop()
            if node not in known:
                known.add(node)
                pending += node.all_input_nodes
        return known


@pytest.fixture
def make():
    """Returns a function: model and example inputs to `Made`."""
    torch.manual_seed(0)

    def build(model, *example, precision="int8", count=3, schedule=True, machine=None, **settings):
        from edgeopt_tvm.emitter import emit_program
        from edgeopt_tvm.interpreter import Interpreter
        from edgeopt_tvm.lowering import lower_emitted

        samples = [example, *(tuple(_like(t) for t in example) for _ in range(count - 1))]
        program = run_core(capture_module(model.eval(), example))
        if precision != "float32":
            data = samples if Precision(precision).needs_calibration else None
            config = QuantizationConfig(precision=precision, rounding="nearest", **settings)
            program = quantize_program(program, data, config)
        machine = machine or machine_of(find_target("host"))
        emitter = emit_program(program, machine)
        executable = lower_emitted(emitter)
        run = Interpreter(executable, machine, schedule=schedule)
        arrays = [tuple(t.numpy() for t in sample) for sample in samples]
        return Made(program, emitter, executable, run, arrays)

    return build


def _like(tensor):
    if tensor.dtype.is_floating_point:
        return torch.randn(tensor.shape)
    return torch.randint(0, 10, tensor.shape, dtype=tensor.dtype)
