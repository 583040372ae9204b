"""Programs without a system on the cores that QEMU emulates."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt_micro.core import Core
from edgeopt_micro.packing import packing_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CORES", "FLAGS", "NATIVE", "BareCore", "build", "run"]

NATIVE = Path(__file__).resolve().parent.parent / "native"
FLAGS = (
    "-std=c11", "-O2", "-ffp-contract=off", "-ffreestanding", "-fno-builtin", "-fomit-frame-pointer",
    "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra",
)  # fmt: skip
_LIMIT_S = 120


@dataclass(frozen=True)
class BareCore:
    """A core and the machine of QEMU that has it.

    Attributes:
        core: What it can do.
        machine: Words of QEMU's command line that choose the machine.
        code: Address of code and constants.
        memory: Address of memory.
        tick_ps: Picoseconds of a tick of the counter.
    """

    core: Core
    machine: tuple[str, ...]
    code: int = 0
    memory: int = 0x21000000
    tick_ps: int = 40_000


_SCRIPT = """\
SECTIONS
{
  . = %#x;
  .vectors : { KEEP(*(.vectors)) }
  .text : { *(.text .text.* .rodata .rodata.* .srodata .srodata.*) }
  . = %#x;
  .data : { *(.data .data.* .sdata .sdata.*) }
  .bss (NOLOAD) : ALIGN(16) {
    bss_start = .; *(.bss .bss.* .sbss .sbss.* COMMON) . = ALIGN(16); bss_end = .;
  }
  .stack (NOLOAD) : ALIGN(16) { stack_start = .; . += 8192; stack_end = .; }
  /DISCARD/ : { *(.ARM.exidx* .ARM.extab* .comment .note* .eh_frame*) }
}
"""

_SOFT, _HARD = "thumb-freestanding-eabi", "thumb-freestanding-eabihf"
_SIZES = ("-global", "nrf51-soc.flash-size=0x4000000", "-global", "nrf51-soc.sram-size=0x4000000")

CORES = {
    "cortex-m0": BareCore(
        Core(_SOFT, "cortex_m0", fpu=False, dsp=False, mve=False),
        ("qemu-system-arm", "-M", "microbit", *_SIZES),
        memory=0x20000000,
        tick_ps=62_500,
    ),
    "cortex-m3": BareCore(
        Core(_SOFT, "cortex_m3", fpu=False, dsp=False, mve=False),
        ("qemu-system-arm", "-M", "mps2-an385"),
    ),
    "cortex-m4": BareCore(
        Core(_HARD, "cortex_m4+vfp4d16sp", fpu=True, dsp=True, mve=False),
        ("qemu-system-arm", "-M", "mps2-an386"),
    ),
    "cortex-m7": BareCore(
        Core(_HARD, "cortex_m7+fp_armv8d16", fpu=True, dsp=True, mve=False),
        ("qemu-system-arm", "-M", "mps2-an500"),
        memory=0x20000000,
    ),
    "cortex-m33": BareCore(
        Core(_HARD, "cortex_m33+dsp+fp_armv8d16sp", fpu=True, dsp=True, mve=False),
        ("qemu-system-arm", "-M", "mps2-an505"),
        code=0x10000000,
        memory=0x38000000,
        tick_ps=50_000,
    ),
    "cortex-m55": BareCore(
        Core(_HARD, "cortex_m55+mve_fp+fp_armv8d16", fpu=True, dsp=True, mve=True),
        ("qemu-system-arm", "-M", "mps3-an547"),
        tick_ps=31_250,
    ),
    "rv32imc": BareCore(
        Core("riscv32-freestanding-none", "generic_rv32+m+c", fpu=False, dsp=False, mve=False),
        ("qemu-system-riscv32", "-M", "virt", "-bios", "none"),
        code=0x80000000,
        memory=0x82000000,
        tick_ps=1_000,
    ),
}


def build(bare: BareCore, sources: Sequence[Path], program: Path, more: Sequence[str] = ()) -> None:
    """Compiles C files, the kernels among them, to a program whose ``bare_main`` is in one of them."""
    own, script = NATIVE / "testing", program.with_suffix(".ld")
    script.write_text(_SCRIPT % (bare.code, bare.memory))
    command = [
        *(sys.executable, "-m", "ziglang", "cc"),
        *("-target", bare.core.triple, f"-mcpu={bare.core.cpu}", *FLAGS, "-nostdlib"),
        f"-DEDGEOPT_PACKING={packing_of(bare.core)}",
        *(f"-I{NATIVE}", f"-I{own}", *more, "-Wl,--gc-sections", "-T", str(script)),
        *("-o", str(program), str(own / "bare.c"), *map(str, sources)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode or done.stderr:
        raise RuntimeError(done.stderr[-4000:])


def run(bare: BareCore, program: Path, *, counted: bool = False) -> str:
    """Returns what a program prints; ``counted``: an instruction takes a nanosecond of its time."""
    emulator = shutil.which(bare.machine[0])
    if emulator is None:
        raise FileNotFoundError(bare.machine[0])
    command = [
        *(emulator, *bare.machine[1:], "-display", "none", "-monitor", "none", "-serial", "none"),
        *("-semihosting-config", "enable=on,target=native"),
        *(("-icount", "shift=0") if counted else ()),
        *("-kernel", str(program)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    return done.stdout + done.stderr
