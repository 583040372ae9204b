"""What a microcontroller's core can do, as compilers and kernels see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["Core", "core_of"]


@dataclass(frozen=True)
class Core:
    """A core.

    Attributes:
        triple: zig's name of what is compiled for.
        cpu: zig's name of the core.
        fpu: Whether float32 is computed by instructions.
        dsp: Whether two 16-bit products are added up by one (SMLAD).
        mve: Whether it has Helium's vectors of 16 bytes.
    """

    triple: str
    cpu: str
    fpu: bool
    dsp: bool
    mve: bool


def core_of(target: Target) -> Core:
    """Returns the core of ``target``; of a machine that is no microcontroller, that of portable C."""
    micro = target.microcontroller
    if micro is None:
        return Core(triple="", cpu="", fpu=True, dsp=False, mve=False)
    return Core(
        triple=micro.zig_triple,
        cpu=micro.zig_cpu,
        fpu=micro.fpu != "none",
        dsp=micro.dsp,
        mve=micro.mve,
    )
