"""The tables of a model for the C runtime: generated source, and the constants as one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeopt_tvm.memory import ALIGNMENT, plan_arena, size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgeopt_tvm.executable import Buffer, Executable
    from edgeopt_tvm.machine import Machine

__all__ = ["constants_blob", "table_source"]

_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}  # DLPack's, by numpy's kind
_KINDS = {"input": "INPUT", "output": "OUTPUT", "constant": "CONSTANT", "temporary": "TEMPORARY"}


def constants_blob(executable: Executable) -> tuple[bytes, dict[int, int]]:
    """Returns all constants, equal ones once, and where each buffer's starts."""
    blob, places, offsets = bytearray(), {}, {}
    for index in sorted(executable.constants):
        content = np.ascontiguousarray(executable.constants[index]).tobytes()
        if content not in places:
            places[content] = len(blob)
            blob += content + bytes(-len(content) % ALIGNMENT)
        offsets[index] = places[content]
    return bytes(blob), offsets


def table_source(
    executable: Executable,
    machine: Machine,
    constants: dict[int, int],
    symbols: Mapping[str, str],
) -> str:
    """Returns the C source of the model's tables.

    Args:
        executable: The model.
        machine: What it is for.
        constants: Where each constant starts, as `constants_blob` placed them.
        symbols: Name of each kernel to what its code is called, behind ``__tvm_ffi_``.
    """
    arena = plan_arena(executable)
    # Kernels know their shapes: of a view only the memory counts, and that is its root's.
    own = [i for i, buffer in enumerate(executable.buffers) if buffer.alias < 0]
    number = {index: row for row, index in enumerate(own)}
    ports = {k: [i for i in own if executable.buffers[i].kind == k] for k in ("input", "output")}
    offsets = {**constants, **arena.offsets}
    args = [number[executable.root(index)] for step in executable.steps for index in step.args]
    kernels = sorted({symbols[step.kernel] for step in executable.steps})
    blob_bytes = max(
        (constants[i] + size_bytes(executable.buffers[i]) for i in constants), default=0
    )
    return "\n".join(
        [
            '#include "table.h"',
            *(f"int32_t __tvm_ffi_{k}(void *, const struct value *, int32_t, struct value *);"
              for k in kernels),
            *(_array(f"shape{number[i]}", executable.buffers[i].shape, "int64_t") for i in own),
            "static const struct buffer buffers[] = {",
            *(_buffer(executable.buffers[i], number[i], offsets.get(i, 0)) for i in own),
            "{0}};",
            "static const struct step steps[] = {",
            *_steps(executable, symbols),
            "{0}};",
            _array("args", args),
            *(_array(f"{kind}s", [number[i] for i in indices]) for kind, indices in ports.items()),
            "const struct table model_table = {buffers, steps, args, inputs, outputs,",
            f"{len(own)}, {len(executable.steps)}, {len(args)},",
            f"{len(ports['input'])}, {len(ports['output'])}, {machine.cores},",
            f"{arena.size_bytes}, {blob_bytes}}};",
            "",
        ]
    )  # fmt: skip


def _buffer(buffer: Buffer, row: int, offset: int) -> str:
    dtype = np.dtype(buffer.dtype)
    code, bits = _CODES[dtype.kind], dtype.itemsize * 8
    name = buffer.name if buffer.kind in ("input", "output") else ""
    return (
        f"{{{_text(name)}, {_text(dtype.name)}, shape{row}, {len(buffer.shape)}, "
        f"{_KINDS[buffer.kind]}, {{{code}, {bits}, 1}}, {size_bytes(buffer)}, {offset}, "
        f"{buffer.limit}}},"
    )


def _steps(executable: Executable, symbols: Mapping[str, str]) -> list[str]:
    rows, first = [], 0
    for step in executable.steps:
        names = _text(",".join(step.origins))
        rows.append(
            f"{{{_text(step.kernel)}, {names}, __tvm_ffi_{symbols[step.kernel]}, {first}, "
            f"{len(step.args)}}},"
        )
        first += len(step.args)
    return rows


def _array(name: str, values: Iterable[int], kind: str = "int32_t") -> str:
    return f"static const {kind} {name}[] = {{{', '.join(map(str, values)) or '0'}}};"


def _text(value: str) -> str:
    """Returns a C string literal; what is no letter, digit, or of these few is escaped."""
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:- "
    return '"' + "".join(chr(c) if c in plain else f"\\{c:03o}" for c in value.encode()) + '"'
