"""What a model takes of a microcontroller: flash of code and constants, RAM of the arena and the stack."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from edgeopt.errors import CompileError
from edgeopt_micro.build import FLAGS, compiled, core_flags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgeopt_micro.core import Core

__all__ = ["Sections", "linked_sections"]

_LINK = ("-nostdlib", "-rtlib=compiler-rt", "-Wl,--gc-sections", "-Wl,--build-id=none", "-s")
_ALLOCATED, _EXECUTABLE = 2, 4
_NO_BITS = 8


class Sections(NamedTuple):
    """Bytes of a model that is linked with nothing else.

    Attributes:
        code: Instructions.
        constants: Weights, tables and names.
    """

    code: int
    constants: int


def linked_sections(source: Mapping[str, bytes], name: str, core: Core) -> Sections:
    """Returns the bytes of the parts of ``source`` that a program with the model ``name`` links.

    Raises:
        PluginError: zig is not installed.
        CompileError: It cannot be linked.
    """
    names = sorted(one for one in source if one.endswith(".c"))
    entry = f"{name}_model"
    words = [*core_flags(core), *FLAGS, *_LINK, f"-Wl,-u,{entry}", f"-Wl,-e,{entry}", *names]
    content = compiled(source, words, "model.elf")
    return _sections(content)


def _sections(elf: bytes) -> Sections:
    """Returns the bytes of a 32-bit ELF file by what they are."""
    start, size, count = (struct.unpack_from("<I", elf, 32)[0], *struct.unpack_from("<HH", elf, 46))
    code = constants = data = 0
    for k in range(count):
        _, kind, flags, _, _, length = struct.unpack_from("<6I", elf, start + k * size)
        if not flags & _ALLOCATED:
            continue
        if flags & _EXECUTABLE:
            code += length
        elif kind == _NO_BITS or flags & 1:
            data += length
        else:
            constants += length
    if data:
        raise CompileError(f"it has {data} bytes of RAM of its own", where="the model's C source")
    return Sections(code, constants)
