"""How much flash and RAM a program takes, by its ELF file (Tool Interface Standard, ELF 1.2)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .errors import BoardError

__all__ = ["Sizes", "sizes"]

_HEAD = struct.Struct("<16sHHIIIIIHHHHHH")
_PROGRAM = struct.Struct("<8I")
_LOAD = 1


class Sizes(NamedTuple):
    """Bytes of a program.

    Attributes:
        flash: Code, constants and what variables begin with.
        ram: Variables and the stack; the arena comes on top.
    """

    flash: int
    ram: int


def sizes(path: str, *, ram: tuple[int, int]) -> Sizes:
    """Returns the sizes of the 32-bit program at ``path``.

    Args:
        path: The ELF file.
        ram: Address and bytes of the RAM.

    Raises:
        BoardError: It is no such file.
    """
    with open(path, "rb") as stream:
        content = stream.read()
    try:
        head = _HEAD.unpack_from(content)
        at, size, count = head[5], head[9], head[10]
        rows = [_PROGRAM.unpack_from(content, at + size * place) for place in range(count)]
    except struct.error as error:
        raise BoardError(f"{path}: no program: {error}") from error
    if not content.startswith(b"\x7fELF\x01\x01"):
        raise BoardError(f"{path}: no 32-bit program")
    loads = [row for row in rows if row[0] == _LOAD]
    flash = sum(row[4] for row in loads)
    inside = [row for row in loads if ram[0] <= row[2] < ram[0] + ram[1]]
    return Sizes(flash, max((row[2] + row[5] - ram[0] for row in inside), default=0))
