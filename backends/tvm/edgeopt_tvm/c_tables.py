"""The tables of programs for the C runtime: generated source, and the constants as one file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from edgeopt_tvm.c_text import c_array, c_text
from edgeopt_tvm.memory import ALIGNMENT, plan_arena, size_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt_tvm.executable import Buffer, Executable
    from edgeopt_tvm.machine import Machine

__all__ = [
    "constant_contents",
    "constant_names",
    "constants_blob",
    "table_source",
    "tables_source",
]

_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}  # DLPack's, by numpy's kind
_KINDS = {"input": "INPUT", "output": "OUTPUT", "constant": "CONSTANT", "temporary": "TEMPORARY"}


def constant_names(executable: Executable) -> dict[int, str]:
    """Returns what each constant is called: equal ones alike, in every program."""
    return {
        index: hashlib.sha256(_content(array)).hexdigest()[:40]
        for index, array in executable.constants.items()
    }


def constant_contents(executable: Executable, names: Mapping[int, str]) -> dict[str, bytes]:
    """Returns the content of each constant, by its name."""
    return {names[index]: _content(array) for index, array in executable.constants.items()}


def _content(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def constants_blob(contents: Mapping[str, bytes]) -> tuple[bytes, str]:
    """Returns the content of all constants one after the other, and the C header that says where each starts."""
    blob, lines = bytearray(), []
    for name, content in contents.items():
        lines.append(f"#define {_place(name)} {len(blob)}")
        blob += content + bytes(-len(content) % ALIGNMENT)
    return bytes(blob), "\n".join([*lines, ""])


def _place(name: str) -> str:
    return f"AT_{name}"


def tables_source(count: int, constant_bytes: int, digest: str) -> str:
    """Returns the C source that names the tables of ``count`` programs, and says what they are known by."""
    names = [f"model_table_{number}" for number in range(count)]
    return "\n".join(
        [
            '#include "table.h"',
            *(f"extern const struct table {name};" for name in names),
            f"const struct table *const model_tables[] = {{{', '.join('&' + n for n in names)}}};",
            f"const int32_t model_table_count = {count};",
            f"const size_t model_constant_bytes = {constant_bytes};",
            f"const char model_digest[] = {c_text(digest)};",
            "",
        ]
    )


def table_source(
    executable: Executable,
    machine: Machine,
    constants: Mapping[int, str],
    symbols: Mapping[str, str],
) -> str:
    """Returns the C source of a program's tables; ``TABLE`` stands for what they are called.

    Args:
        executable: The program.
        machine: What it is for.
        constants: What each constant is called, as `constant_names` says.
        symbols: Name of each kernel to what its code is called, behind ``__tvm_ffi_``.
    """
    arena = plan_arena(executable)
    # Kernels know their shapes: of a view only the memory counts, and that is its root's.
    own = [i for i, buffer in enumerate(executable.buffers) if buffer.alias < 0]
    number = {index: row for row, index in enumerate(own)}
    ports = {k: [i for i in own if executable.buffers[i].kind == k] for k in ("input", "output")}
    offsets = {i: _place(name) for i, name in constants.items()} | arena.offsets
    args = [number[executable.root(index)] for step in executable.steps for index in step.args]
    kernels = sorted({symbols[step.kernel] for step in executable.steps})
    return "\n".join(
        [
            '#include "constants.h"',
            '#include "table.h"',
            *(f"int32_t __tvm_ffi_{k}(void *, const struct value *, int32_t, struct value *);"
              for k in kernels),
            *(c_array(f"shape{number[i]}", executable.buffers[i].shape, "int64_t") for i in own),
            "static const struct buffer buffers[] = {",
            *(_buffer(executable.buffers[i], number[i], offsets.get(i, 0)) for i in own),
            "{0}};",
            "static const struct step steps[] = {",
            *_steps(executable, symbols),
            "{0}};",
            c_array("args", args),
            *(c_array(f"{kind}s", [number[i] for i in indices]) for kind, indices in ports.items()),
            "const struct table TABLE = {buffers, steps, args, inputs, outputs,",
            f"{len(own)}, {len(executable.steps)}, {len(args)},",
            f"{len(ports['input'])}, {len(ports['output'])}, {machine.cores},",
            f"{arena.size_bytes}}};",
            "",
        ]
    )  # fmt: skip


def _buffer(buffer: Buffer, row: int, offset: int | str) -> str:
    dtype = np.dtype(buffer.dtype)
    code, bits = _CODES[dtype.kind], dtype.itemsize * 8
    name = buffer.name if buffer.kind in ("input", "output") else ""
    return (
        f"{{{c_text(name)}, {c_text(dtype.name)}, shape{row}, {len(buffer.shape)}, "
        f"{_KINDS[buffer.kind]}, {{{code}, {bits}, 1}}, {size_bytes(buffer)}, {offset}, "
        f"{buffer.limit}}},"
    )


def _steps(executable: Executable, symbols: Mapping[str, str]) -> list[str]:
    rows, first = [], 0
    for step in executable.steps:
        names = c_text(",".join(step.origins))
        rows.append(
            f"{{{c_text(step.kernel)}, {names}, __tvm_ffi_{symbols[step.kernel]}, {first}, "
            f"{len(step.args)}}},"
        )
        first += len(step.args)
    return rows
