"""Runs an executable kernel by kernel on this machine, in the compiler's own process: for checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tvm

from edgeopt_tvm import kernels
from edgeopt_tvm.codegen import plain_functions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt_tvm.executable import Executable
    from edgeopt_tvm.machine import Machine

__all__ = ["Interpreter"]


class Interpreter:
    """An executable, compiled for this machine.

    Args:
        executable: What to run.
        machine: This machine.
        schedule: Whether kernels are scheduled; plain loops are slow, and a second opinion.
    """

    def __init__(self, executable: Executable, machine: Machine, *, schedule: bool = True) -> None:
        functions = {v.name_hint: f for v, f in executable.module.functions.items()}
        self._executable = executable
        compiled = _scheduled if schedule else plain_functions
        self._kernels = compiled(functions, machine)
        self._held = self._arrays()

    def _arrays(self) -> list[Any]:
        tensors: list[Any] = []
        constants = self._executable.constants
        for index, buffer in enumerate(self._executable.buffers):
            content = constants.get(index)
            array = np.zeros(buffer.shape, buffer.dtype) if content is None else content
            tensors.append(
                tvm.runtime.tensor(np.asarray(array, order="C")) if buffer.alias < 0 else None
            )
        return [
            tensor if tensor is not None else _viewed(tensors[buffer.alias], buffer.shape)
            for tensor, buffer in zip(tensors, self._executable.buffers, strict=True)
        ]

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Returns the outputs."""
        arrays = iter(inputs)
        for tensor, buffer in zip(self._held, self._executable.buffers, strict=True):
            if buffer.kind == "input":
                tensor.copyfrom(np.asarray(next(arrays), order="C"))
        for step in self._executable.steps:
            self._kernels[step.kernel](*(self._held[i] for i in step.args))
        return [
            tensor.numpy()
            for tensor, buffer in zip(self._held, self._executable.buffers, strict=True)
            if buffer.kind == "output"
        ]


def _scheduled(functions: Mapping[str, Any], machine: Machine) -> Any:
    named = {
        name: kernels.scheduled(function, machine).with_attr("global_symbol", name)
        for name, function in functions.items()
    }
    return tvm.compile(tvm.IRModule(named), target=machine.tvm_target())


def _viewed(tensor: Any, shape: tuple[int, ...]) -> Any:
    return tensor._create_view(shape)  # noqa: SLF001 (views have no public name)
