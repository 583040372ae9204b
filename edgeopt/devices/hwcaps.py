"""What the kernel calls the features of a processor, by the bits of its auxiliary vector.

QEMU's user mode shows programs this machine's ``/proc/cpuinfo``. The emulated core's own features
are in ``AT_HWCAP`` and ``AT_HWCAP2``; from them a ``/proc/cpuinfo`` of its kind is written.
"""

from __future__ import annotations

from edgeopt.registry.cpuinfo import ARM_PARTS

__all__ = ["cpuinfo_text", "features", "midr"]

# Linux, arch/arm64/include/uapi/asm/hwcap.h, in the order of the bits.
_AARCH64 = """
    fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc
    dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg
"""
_AARCH64_2 = """
    dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm
    svebf16 i8mm bf16 dgh rng bti mte
"""
# Linux, arch/arm/include/uapi/asm/hwcap.h
_ARMV7 = """
    swp half thumb 26bit fastmult fpa vfp edsp java iwmmxt crunch thumbee neon vfpv3 vfpv3d16 tls
    vfpv4 idiva idivt vfpd32 lpae evtstrm
"""
_ARMV7_2 = "aes pmull sha1 sha2 crc32"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"  # RISC-V: one bit a letter


def features(arch: str, hwcap: int, hwcap2: int) -> list[str]:
    """Returns the kernel's names of the features that the bits stand for."""
    if arch == "riscv64":
        order = "imafdqcbvh"
        letters = [letter for bit, letter in enumerate(_LETTERS) if hwcap >> bit & 1]
        return sorted(letters, key=lambda one: (order.find(one) % 26, one))
    first, second = (_AARCH64, _AARCH64_2) if arch == "aarch64" else (_ARMV7, _ARMV7_2)
    return [
        name
        for bits, names in ((hwcap, first), (hwcap2, second))
        for bit, name in enumerate(names.split())
        if bits >> bit & 1
    ]


def cpuinfo_text(arch: str, mcpu: str, names: list[str], cores: int) -> str:
    """Returns ``/proc/cpuinfo`` of a machine with ``cores`` emulated cores."""
    if arch == "riscv64":
        rows = [f"isa\t\t: rv64{''.join(names)}", f"uarch\t\t: {mcpu}"]
        return "".join(_block([f"processor\t: {i}", *rows]) for i in range(cores))
    value = midr(mcpu)
    rows = [
        f"Features\t: {' '.join(names)}",
        f"CPU implementer\t: {value >> 24:#04x}",
        f"CPU architecture: {8 if arch == 'aarch64' else 7}",
        "CPU variant\t: 0x0",
        f"CPU part\t: {value >> 4 & 0xFFF:#05x}",
        "CPU revision\t: 0",
    ]
    return "".join(_block([f"processor\t: {i}", *rows]) for i in range(cores))


def midr(mcpu: str) -> int:
    """Returns the identification register of an Arm core, revision zero; 0 where it is not known."""
    parts = {core: int(part, 16) for part, core in ARM_PARTS.items()}
    return 0x41 << 24 | 0xF << 16 | parts[mcpu] << 4 if mcpu in parts else 0


def _block(rows: list[str]) -> str:
    return "\n".join(rows) + "\n\n"
