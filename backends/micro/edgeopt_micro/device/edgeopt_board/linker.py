"""The linker's script: where code, constants and memory go."""

from __future__ import annotations

__all__ = ["linker_script"]

_SCRIPT = """\
/* Written by edgeopt. Symbols lie inside their sections, as zig's linker wants it. The stack comes first in RAM:
   one that grows too large leaves RAM, which is a fault, and not silent. */
ENTRY(start)
MEMORY
{
  VECTORS (rx) : ORIGIN = %(vectors)#x, LENGTH = %(vectors_bytes)#x
  FLASH (rx) : ORIGIN = %(flash)#x, LENGTH = %(flash_bytes)#x
  RAM (rwx) : ORIGIN = %(ram)#x, LENGTH = %(ram_bytes)#x
  ARENA (rw) : ORIGIN = %(arena)#x, LENGTH = %(arena_bytes)#x
}
SECTIONS
{
  .vectors : { KEEP(*(.vectors)) } > %(vectors_in)s
  .text : ALIGN(16) {
    *(.text .text.* .rodata .rodata.* .srodata .srodata.*) . = ALIGN(16);
    data_from = .;
  } > FLASH
  .stack (NOLOAD) : ALIGN(16) { stack_start = .; . += %(stack)#x; stack_end = .; } > RAM
  .data : ALIGN(16) {
    data_start = .; *(.data .data.* .sdata .sdata.*) . = ALIGN(16); data_end = .;
  } > RAM AT > FLASH
  .bss (NOLOAD) : ALIGN(16) {
    bss_start = .; *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(16); bss_end = .;
  } > RAM
  .arena (NOLOAD) : ALIGN(16) {
    arena_start = .; arena_end = ABSOLUTE(%(arena)#x + %(arena_bytes)#x);
  } > %(arena_in)s
  /DISCARD/ : { *(.ARM.exidx* .ARM.extab* .comment .note* .eh_frame*) }
}
"""
_VECTORS = 1024


def linker_script(
    flash: tuple[int, int],
    ram: tuple[int, int],
    *,
    stack: int,
    vectors: int | None = None,
    arena: tuple[int, int] | None = None,
) -> str:
    """Returns the script of a firmware.

    Args:
        flash: Address and bytes of what keeps code and constants.
        ram: Address and bytes of what holds the stack, variables and the arena.
        stack: Bytes of the stack, a multiple of 16.
        vectors: Where the core looks for its vectors, if not at the beginning of ``flash``.
        arena: Address and bytes of what holds the arena, if not ``ram``.
    """
    own = None if arena == ram else arena
    arena = own or ram
    places = {"flash": flash[0], "flash_bytes": flash[1], "ram": ram[0], "ram_bytes": ram[1]}
    places |= {"arena": arena[0], "arena_bytes": arena[1]}
    words = {**places, "vectors_bytes": _VECTORS, "stack": stack}
    words["vectors"] = flash[0] if vectors is None else vectors
    words["vectors_in"] = "FLASH" if vectors is None else "VECTORS"  # type: ignore[assignment]
    words["arena_in"] = "RAM" if own is None else "ARENA"  # type: ignore[assignment]
    return _SCRIPT % words
