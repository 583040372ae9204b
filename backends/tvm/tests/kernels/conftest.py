"""Kernels, built for this machine from TE and run on random arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeopt.registry.target_registry import find_target
from edgeopt_tvm.machine import machine_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgeopt_tvm.machine import Machine


@pytest.fixture(scope="session")
def machine() -> Machine:
    """Returns this machine."""
    return machine_of(find_target("host"))


@dataclass
class Kernel:
    """One fused kernel.

    Attributes:
        function: As fusion leaves it, unscheduled.
        machine: What it is built for.
        constants: What the graph passes behind the inputs.
    """

    function: Any
    machine: Machine
    constants: list[np.ndarray]

    def run(self, function: Any, *inputs: np.ndarray) -> np.ndarray:
        """Returns what ``function`` makes of ``inputs``."""
        import tvm

        module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
        built = tvm.compile(module, target=self.machine.tvm_target())
        last = function.params[-1]
        result = np.full([int(d) for d in last.shape], 77, str(last.dtype))  # nothing may stay
        arrays = [tvm.runtime.tensor(a, tvm.cpu()) for a in (*inputs, *self.constants, result)]
        built["main"](*arrays)
        return arrays[-1].numpy()


@pytest.fixture
def fuse(machine):
    """Returns a function: input shapes, dtypes and what is written of them to the one kernel."""
    return lambda inputs, write: _fused(machine, inputs, write)


def _fused(machine: Machine, inputs: list[tuple[tuple[int, ...], str]], write: Callable) -> Kernel:
    from tvm import relax, tirx

    bb = relax.BlockBuilder()
    variables = [
        relax.Var(f"x{i}", relax.TensorType(shape, dtype))
        for i, (shape, dtype) in enumerate(inputs)
    ]
    with bb.function("main", variables):
        with bb.dataflow():
            result = bb.emit_output(bb.normalize(write(bb, *variables)))
        bb.emit_func_output(result)
    module = bb.get()
    for step in (
        relax.transform.LegalizeOps(),
        relax.transform.AnnotateTIROpPattern(),
        relax.transform.FuseOps(),
        relax.transform.FuseTIR(),
        relax.transform.DeadCodeElimination(),
    ):
        module = step(module)
    functions = [f for f in module.functions.values() if isinstance(f, tirx.PrimFunc)]
    assert len(functions) == 1, "it was not fused to one kernel"
    (call,) = [b.value for b in module["main"].body.blocks[0].bindings]
    constants = [a.data.numpy() for a in call.args[1] if isinstance(a, relax.Constant)]
    return Kernel(functions[0], machine, constants)


@pytest.fixture
def requantized():
    """Returns a function that writes the rounding of int32 sums to bytes behind them."""
    return _requantized


def _requantized(
    bb: Any, sums: Any, bias: np.ndarray, multiplier: np.ndarray, zero: int, kind: str
) -> Any:
    from tvm import relax, te, tirx

    low, high = np.iinfo(kind).min, np.iinfo(kind).max

    def compute(value: te.Tensor, b: te.Tensor, m: te.Tensor) -> te.Tensor:
        def at(*index: Any) -> Any:
            c = index[-1]
            steps = tirx.nearbyint((value(*index) + b[c]).astype("float32") * m[c])
            moved = steps.astype("int32") + zero
            return tirx.min(tirx.max(moved, int(low)), int(high)).astype(kind)

        return te.compute(value.shape, at, name="requantize")

    return bb.emit_te(compute, sums, relax.const(bias), relax.const(multiplier))
