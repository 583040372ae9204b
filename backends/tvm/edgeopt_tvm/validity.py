"""Whether an executable is whole: what code generation and the C runtime take for granted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.errors import CompileError
from edgeopt_tvm.memory import size_bytes

if TYPE_CHECKING:
    from edgeopt_tvm.executable import Buffer, Executable, Step

__all__ = ["check_executable"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_executable(executable: Executable) -> None:
    """Checks that every step's arguments fit its kernel, and that values are made before they are read.

    Raises:
        CompileError: Something does not fit; the step or buffer is named.
    """
    _check_constants(executable)
    _check_views(executable)
    functions = {v.name_hint: f for v, f in executable.module.functions.items()}
    indices = {i for i, b in enumerate(executable.buffers) if b.kind in ("input", "constant")}
    for number, step in enumerate(executable.steps):
        where = f"step {number}, kernel {step.kernel}"
        if step.kernel not in functions or not _NAME.fullmatch(step.kernel):
            raise CompileError("there is no such kernel", where=where)
        _check_order(executable, step, indices, where)
        _check_args(executable, step, functions[step.kernel], where)
    for index, buffer in enumerate(executable.buffers):
        if buffer.kind == "output" and index not in indices:
            raise CompileError("no step writes this output", where=f"buffer {buffer.name}")


def _check_constants(executable: Executable) -> None:
    for index, buffer in enumerate(executable.buffers):
        where = f"buffer {buffer.name}"
        content = executable.constants.get(index)
        if (content is not None) != (buffer.kind == "constant"):
            raise CompileError("a constant without content, or content of no constant", where=where)
        if content is not None and (content.shape != buffer.shape or content.dtype != buffer.dtype):
            what = f"its content is {content.dtype}{list(content.shape)}"
            raise CompileError(f"{what}, not {_described(buffer)}", where=where)


def _check_views(executable: Executable) -> None:
    for buffer in executable.buffers:
        if buffer.alias < 0:
            continue
        root = executable.buffers[buffer.alias]
        if root.alias >= 0 or size_bytes(root) != size_bytes(buffer):
            what = f"{_described(buffer)} cannot be a view of {root.name}, {_described(root)}"
            raise CompileError(what, where=f"buffer {buffer.name}")


def _check_order(executable: Executable, step: Step, made: set[int], where: str) -> None:
    """Checks one step, and adds what it writes to ``made``."""
    cut = len(step.args) - step.outputs
    roots = [executable.root(index) for index in step.args]
    if set(roots[:cut]) & set(roots[cut:]) or len(set(roots[cut:])) != step.outputs:
        raise CompileError("it writes to what it reads, or twice to the same", where=where)
    for index in step.args[:cut]:
        if executable.root(index) not in made:
            name = executable.buffers[index].name
            raise CompileError(f"it reads {name} before a step has written it", where=where)
    for index in step.args[cut:]:
        if executable.buffers[executable.root(index)].kind in ("input", "constant"):
            raise CompileError(f"it writes to {executable.buffers[index].name}", where=where)
        made.add(executable.root(index))


def _check_args(executable: Executable, step: Step, function: object, where: str) -> None:
    params = list(function.params)  # type: ignore[attr-defined]
    if len(params) != len(step.args):
        raise CompileError(f"{len(step.args)} arguments for {len(params)}", where=where)
    for index, parameter in zip(step.args, params, strict=True):
        buffer = executable.buffers[index]
        shape = tuple(int(dimension) for dimension in parameter.shape)
        if shape != buffer.shape or str(parameter.dtype) != np.dtype(buffer.dtype).name:
            what = f"{buffer.name} is {_described(buffer)}"
            raise CompileError(f"{what}, it takes {parameter.dtype}{list(shape)}", where=where)


def _described(buffer: Buffer) -> str:
    return f"{buffer.dtype}{list(buffer.shape)}"
