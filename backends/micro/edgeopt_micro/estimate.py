"""What a model will take of flash and RAM, before anything is compiled; exactly, once it is.

RAM and constants are exact. Code is foreseen: of kernel files by what they take on any core at most, of
functions made for a model by the length of their text. `benchmarks/micro_tiny.py` shows both beside what is linked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import MemoryMoment, MemoryPart, MemoryUse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgeopt_micro.emitter import Emitter, Step
    from edgeopt_micro.memory import Block, MemoryPlan

__all__ = ["memory_use"]

_KERNEL_BYTES = {
    "edgeopt_convolution.c": 2200,
    "edgeopt_depthwise.c": 1500,
    "edgeopt_depthwise_dsp.c": 1500,
    "edgeopt_depthwise_mve.c": 1000,
    "edgeopt_pools.c": 400,
    "edgeopt_stripes.h": 900,
}
"""The code of a kernel file, compiled for the core where it is largest."""
_BASE_BYTES = 2600
"""Code and names of any model: what it begins with, roundings, divisions, copies."""
_CALL_BYTES = 60
"""Code of a call, and its name and struct of parameters."""
_STRUCT_BYTES = 112
_BYTES_A_LETTER = 1.2
"""Code of a function of loops, for each letter of its text."""


def memory_use(emitter: Emitter) -> MemoryUse:
    """Returns what a model takes whose emitter has run."""
    plan = emitter.plan
    constants = tuple(_constants(emitter))
    arena = MemoryPart("arena", plan.size_bytes, "tensors in turn")
    code = sum(part.size_bytes for part in _code(emitter))
    flash = code + sum(part.size_bytes for part in constants)
    if emitter.linked is not None:
        flash = emitter.linked.code + emitter.linked.constants
    return MemoryUse(
        flash_bytes=flash,
        ram_bytes=plan.size_bytes,
        parts=(*constants, *_code(emitter), arena),
        moments=tuple(_moment(plan, number, step) for number, step in enumerate(emitter.steps)),
        arena_bytes=plan.size_bytes,
        notes=emitter.notes,
    )


def _constants(emitter: Emitter) -> Iterator[MemoryPart]:
    """Yields each array in flash once, under the name of the value that reads it first."""
    known: set[bytes] = set()
    for step in emitter.steps:
        fields = [value for call in step.call.calls for value in call.fields.values()]
        arrays = [value for value in fields if not isinstance(value, int | float)]
        arrays += [value.buffer.array for value in step.inputs if value.buffer.array is not None]
        size = 0
        for array in arrays:
            content = array.tobytes()
            size += 0 if content in known else len(content)
            known.add(content)
        if size:
            yield MemoryPart(step.name, size, "weights and tables", "flash")


def _code(emitter: Emitter) -> Iterator[MemoryPart]:
    files = {file for step in emitter.steps for file in step.call.sources}
    for file in sorted(files & _KERNEL_BYTES.keys()):
        yield MemoryPart(file, _KERNEL_BYTES[file], "code", "flash")
    texts = {step.call.text for step in emitter.steps}
    letters = sum(len(text) for text in texts)
    if letters:
        yield MemoryPart("functions of this model", int(_BYTES_A_LETTER * letters), "code", "flash")
    structs = sum(bool(call.struct) for step in emitter.steps for call in step.call.calls)
    calls = _BASE_BYTES + _CALL_BYTES * len(emitter.steps) + _STRUCT_BYTES * structs
    yield MemoryPart("calls", calls, "code", "flash")


def _moment(plan: MemoryPlan, number: int, step: Step) -> MemoryMoment:
    """Returns what must be kept at a step: of a value that lies over another one, what it takes beside it."""
    parts = (_part(block, size) for block, size in plan.taken(number) if size)
    return MemoryMoment(step.name, tuple(parts))


def _part(block: Block, size: int) -> MemoryPart:
    over = [other.name for other in block.over if block.shared_bytes(other)]
    what = f"tensor, the rest over {', '.join(over)}" if size < block.size_bytes else "tensor"
    return MemoryPart(block.name, size, what, "ram")
