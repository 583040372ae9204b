"""Which processors turn halves into floats by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["converts_halves"]

_FEATURES = {
    "x86_64": ("f16c", "avx512f"),
    "armv7": ("vfpv4", "fp16"),
    "riscv64": ("zfh", "zfhmin", "zvfh", "zvfhmin"),
}


def converts_halves(target: Target) -> bool:
    """Returns whether the processor of ``target`` has an instruction for it; all of aarch64 do."""
    needed = _FEATURES.get(target.cpu.arch)
    return needed is None or any(name in target.cpu.isa for name in needed)
