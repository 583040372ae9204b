"""Model and features of a processor, from the text of ``/proc/cpuinfo``."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeopt.registry.isa import from_kernel

if TYPE_CHECKING:
    from edgeopt.contracts.target import Arch

__all__ = ["ARM_PARTS", "Processor", "parse_cpuinfo", "read_processor"]

# Arm's part numbers as LLVM's llvm/lib/TargetParser/Host.cpp maps them, little cores first: where
# a chip has two kinds, the later one in this table is the big one.
ARM_PARTS = {
    "0xc07": "cortex-a7",
    "0xc08": "cortex-a8",
    "0xc09": "cortex-a9",
    "0xc0f": "cortex-a15",
    "0xd04": "cortex-a35",
    "0xd03": "cortex-a53",
    "0xd05": "cortex-a55",
    "0xd46": "cortex-a510",
    "0xd80": "cortex-a520",
    "0xd07": "cortex-a57",
    "0xd08": "cortex-a72",
    "0xd09": "cortex-a73",
    "0xd0a": "cortex-a75",
    "0xd0b": "cortex-a76",
    "0xd0d": "cortex-a77",
    "0xd41": "cortex-a78",
    "0xd42": "cortex-a78ae",
    "0xd4b": "cortex-a78c",
    "0xd47": "cortex-a710",
    "0xd4d": "cortex-a715",
    "0xd81": "cortex-a720",
    "0xd44": "cortex-x1",
    "0xd48": "cortex-x2",
    "0xd4e": "cortex-x3",
    "0xd0c": "neoverse-n1",
    "0xd40": "neoverse-v1",
    "0xd49": "neoverse-n2",
    "0xd4f": "neoverse-v2",
}
"""Arm's part numbers to LLVM's names of the cores."""
# Vendor, a feature that tells, and LLVM's processor; the first that fits.
_X86 = (
    ("GenuineIntel", "amx_int8", "sapphirerapids"),
    ("GenuineIntel", "avx512_vnni", "cascadelake"),
    ("GenuineIntel", "avx_vnni", "alderlake"),
    ("AuthenticAMD", "avx512_vnni", "znver4"),
    ("", "avx512vl", "x86-64-v4"),
    ("", "avx2", "x86-64-v3"),
    ("", "sse4_2", "x86-64-v2"),
    ("", "", "x86-64"),
)
_GENERIC = {"aarch64": "generic", "armv7": "generic", "riscv64": "generic-rv64"}
_RV64GC = frozenset(
    "imafdc"
)  # LLVM's generic-rv64 has only i; its sifive-u54 has these and no more
_ALWAYS = {"aarch64": ("neon",)}  # what all Linux programs of that family may rely on
# What every processor of macOS on Arm has: Apple M1 and later.
_APPLE = "neon crc aes sha2 sha3 lse rdm rcpc fp16 fp16fml dotprod"


@dataclass(frozen=True)
class Processor:
    """A processor as its system describes it.

    Attributes:
        model: Name of the core or of the processor.
        soc: Name of the board or chip; the model again where nothing else is known.
        isa: Features, in the spelling of descriptors.
        mcpu: LLVM's name of a core whose code runs on it.
        source: Where this was read.
        notes: What could not be read.
    """

    model: str
    soc: str
    isa: tuple[str, ...]
    mcpu: str
    source: str = "/proc/cpuinfo"
    notes: tuple[str, ...] = ()


def read_processor(arch: Arch) -> Processor:
    """Returns the processor of this machine."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _without_proc(arch)
    return parse_cpuinfo(text, arch, board=_board())


def parse_cpuinfo(text: str, arch: Arch, *, board: str = "") -> Processor:
    """Returns the processor that ``text`` describes.

    Args:
        text: The content of ``/proc/cpuinfo``.
        arch: The family that programs see.
        board: Name of the board, where the system knows it.
    """
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), []).append(value.strip())
    isa = from_kernel(_flags(fields, arch), arch)
    if arch == "x86_64":
        model = _first(fields, "model name") or "x86-64"
        return Processor(model, board or model, isa, _x86_core(fields, isa))
    if arch == "riscv64":
        model = _first(fields, "uarch") or "RISC-V"
        return Processor(model, board or model, isa, _riscv_core(isa))
    core = _arm_core(fields, arch)
    model = core.title() if core != _GENERIC[arch] else arch
    return Processor(model, board or _first(fields, "Hardware") or model, isa, core)


def _flags(fields: dict[str, list[str]], arch: Arch) -> list[str]:
    """Returns the kernel's names of the features that all cores have."""
    if arch == "riscv64":
        return _riscv_flags(_first(fields, "isa"))
    cores = [line.split() for line in fields.get("flags" if arch == "x86_64" else "Features", ())]
    if not cores:
        return list(_ALWAYS.get(arch, ()))
    return [flag for flag in cores[0] if all(flag in other for other in cores)]


def _riscv_flags(isa: str) -> list[str]:
    letters, *extensions = isa.lower().removeprefix("rv64").split("_")
    return [*letters.replace("g", "imafd"), *extensions]


def _x86_core(fields: dict[str, list[str]], isa: tuple[str, ...]) -> str:
    maker = _first(fields, "vendor_id")
    fitting = (
        core
        for vendor, feature, core in _X86
        if vendor in {"", maker} and (not feature or feature in isa)
    )
    return next(fitting)


def _riscv_core(isa: tuple[str, ...]) -> str:
    return "sifive-u54" if _RV64GC.issubset(isa) else _GENERIC["riscv64"]


def _arm_core(fields: dict[str, list[str]], arch: Arch) -> str:
    parts = {part.lower() for part in fields.get("CPU part", ())}
    arm = set(fields.get("CPU implementer", ())) == {"0x41"}
    cores = [core for part, core in ARM_PARTS.items() if part in parts]
    return cores[-1] if arm and cores else _GENERIC[arch]


def _without_proc(arch: Arch) -> Processor:
    model = platform.processor() or platform.machine()
    if platform.system() == "Darwin" and arch == "aarch64":
        return Processor(
            "Apple silicon", "Apple silicon", tuple(_APPLE.split()), "apple-m1", "macOS"
        )
    core = _GENERIC.get(arch, "x86-64")
    note = "The features could not be read; only what every such processor has is assumed."
    isa = _ALWAYS.get(arch, ())
    return Processor(model, model, isa, core, "platform.processor()", (note,))


def _board() -> str:
    try:
        return Path("/proc/device-tree/model").read_bytes().decode(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _first(fields: dict[str, list[str]], key: str) -> str:
    return next(iter(fields.get(key, ())), "")
