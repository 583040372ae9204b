"""Names of CPU features: which there are, and how the Linux kernel spells them.

Descriptors, backends and the detection of this machine have to agree on one spelling. On x86 it is
the kernel's; on Arm and RISC-V it is the one of ``-march``, where the kernel has names of its own.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from edgeopt.registry.suggest import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FEATURES", "from_kernel", "misspelt", "saturates", "vector_bits"]

_AARCH64 = """
    neon crc aes sha2 sha3 sm4 lse rdm rcpc fp16 fp16fml dotprod bf16 i8mm sve sve2 sme sme2
"""
_ARMV7 = """
    neon vfpv3 vfpv4 crc aes sha2 fp16 dotprod bf16 i8mm
"""
_RISCV64 = """
    i m a f d c h v zba zbb zbc zbs zfh zfhmin zvfh zvfhmin zvbb zvl128b zvl256b zvl512b
"""
_CORTEX_M = """
    dsp fpsp fpdp fp16 mve mvefp
"""
_RISCV32 = """
    i m a f d c zba zbb zbc zbs zbkb zcb zcmp
"""
_X86_64 = """
    sse3 ssse3 sse4_1 sse4_2 popcnt cx16 lahf_lm movbe aes pclmulqdq sha_ni gfni lzcnt bmi1 bmi2
    f16c fma avx avx2 vaes vpclmulqdq avx_vnni avx_vnni_int8 avx_vnni_int16 avx_ifma
    avx_ne_convert avx512f avx512dq avx512cd avx512bw avx512vl avx512ifma avx512vbmi
    avx512_vbmi2 avx512_vnni avx512_bitalg avx512_vpopcntdq avx512_bf16 avx512_fp16
    amx_tile amx_int8 amx_bf16 amx_fp16 amx_complex
"""
FEATURES: dict[str, frozenset[str]] = {
    "aarch64": frozenset(_AARCH64.split()),
    "armv7": frozenset(_ARMV7.split()),
    "riscv64": frozenset(_RISCV64.split()),
    "cortex-m": frozenset(_CORTEX_M.split()),
    "riscv32": frozenset(_RISCV32.split()),
    "x86_64": frozenset(_X86_64.split()),
}
"""Architecture to the features that descriptors may name. Others are taken as they are."""

_KERNEL: dict[str, str] = {
    "asimd": "neon",
    "crc32": "crc",
    "asimddp": "dotprod",
    "asimdhp": "fp16",
    "asimdfhm": "fp16fml",
    "asimdrdm": "rdm",
    "atomics": "lse",
    "lrcpc": "rcpc",
    "pni": "sse3",
    "abm": "lzcnt",
}

_VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def from_kernel(flags: Iterable[str], arch: str) -> tuple[str, ...]:
    """Returns the features of ``/proc/cpuinfo`` that matter, in our spelling and its order."""
    features = FEATURES[arch]
    ours = (_KERNEL.get(flag, flag) for flag in flags)
    return tuple(dict.fromkeys(flag for flag in ours if flag in features))


def misspelt(feature: str, arch: str) -> str | None:
    """Returns the feature that ``feature`` was probably meant to be, or None where it is fine.

    A name that resembles nothing is fine: tomorrow's features can be named today.
    """
    features = FEATURES[arch]
    if feature in features:
        return None
    kernel = _KERNEL.get(feature.casefold())
    if kernel in features:
        return kernel
    by_key = {canonical(name): name for name in sorted(features)}
    close = difflib.get_close_matches(canonical(feature), by_key, n=1, cutoff=0.85)
    return by_key[close[0]] if close else None


def saturates(isa: Iterable[str], arch: str) -> bool:
    """Returns whether sums of two 8-bit products overflow 16 bits there.

    So it is on x86 without VNNI, where ``pmaddubsw`` is the only 8-bit multiply-add; 7-bit weights
    keep its sums exact.
    """
    return arch == "x86_64" and not _VNNI.intersection(isa)


def vector_bits(isa: Iterable[str], arch: str) -> int:
    """Returns the width of the vector registers that ``isa`` guarantees; 0 where there are none.

    A Cortex-M's DSP extension computes on the 32 bits of a general register.
    """
    have = frozenset(isa)
    if arch == "cortex-m":
        return 128 if "mve" in have else 32 if "dsp" in have else 0
    if arch == "x86_64":
        return 512 if "avx512f" in have else 256 if "avx" in have else 128
    if arch == "riscv64":
        return 128 if "v" in have else 0
    return 128 if "neon" in have else 0
