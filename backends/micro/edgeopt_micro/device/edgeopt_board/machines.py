"""The machines that QEMU emulates: where their memory and serial line lie, and what start them takes.

Addresses are those of QEMU's sources (hw/arm/mps2.c, mps2-tz.c, nrf51_soc.c, hw/riscv/virt.c). With
``-icount shift=0`` an instruction takes a nanosecond of the machine's time, so that its timers count them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MACHINES", "Machine"]


class Machine(NamedTuple):
    """A machine of QEMU.

    Attributes:
        program: The emulator.
        sources: Files of the firmware beside those of all machines.
        flash: Where code and constants go: address and bytes.
        ram: Where the rest goes.
        tick_ns: Of SysTick, in nanoseconds; they are instructions here.
        uart: Address of the serial line, where the source does not know it.
        vectors: Where the core looks for its vectors, if not at the beginning of ``flash``.
        options: Further words of the command line; ``{flash}`` and ``{ram}`` are the target's bytes.
    """

    program: str
    sources: tuple[str, ...]
    flash: tuple[int, int]
    ram: tuple[int, int]
    tick_ns: float
    uart: int = 0
    vectors: int | None = None
    options: tuple[str, ...] = ()


_ARM = ("start_cortex_m.c", "count_qemu.c")
_MPS = (*_ARM, "board_mps.c")
_MIB = 1 << 20
_NRF51 = ("-global", "nrf51-soc.flash-size={flash}", "-global", "nrf51-soc.sram-size={ram}")


def _mps2(ram: int) -> Machine:
    return Machine("qemu-system-arm", _MPS, (0, 4 * _MIB), (ram, 16 * _MIB), 40.0, 0x40004000)


MACHINES = {
    "microbit": Machine(
        "qemu-system-arm", (*_ARM, "board_nrf51.c"), (0, 64 * _MIB), (0x20000000, 64 * _MIB),
        62.5, options=_NRF51,
    ),
    "mps2-an385": _mps2(0x21000000),
    "mps2-an386": _mps2(0x21000000),
    "mps2-an500": _mps2(0x60000000),
    "mps2-an505": Machine(
        "qemu-system-arm", _MPS, (0x10000000, 4 * _MIB), (0x38000000, 4 * _MIB), 50.0,
        0x50200000,
    ),
    "mps3-an547": Machine(
        "qemu-system-arm", _MPS, (0x01000000, 2 * _MIB), (0x21000000, 4 * _MIB), 31.25,
        0x59303000, 0x00000000,
    ),
    "virt": Machine(
        "qemu-system-riscv32", ("start_riscv.c", "board_virt.c"), (0x80000000, 32 * _MIB),
        (0x82000000, 32 * _MIB), 0.0, options=("-bios", "none"),
    ),
}  # fmt: skip
