"""Instructions that add several products to each lane of a vector, as tensor intrinsics.

What each must do is written out beside it as plain loops, which scheduling checks against the kernel
it is put into; that the instruction does it is checked by running every kernel on random integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T

from edgeopt.contracts.storage import INT8, INT16, UINT8

if TYPE_CHECKING:
    from edgeopt.contracts.storage import StorageType
    from edgeopt_tvm.machine import Machine

__all__ = ["BYTES", "PAIRS", "Instruction", "instruction"]

BYTES, PAIRS = 4, 2
"""Numbers in 32 bits that are multiplied at once: of 8 bits, or of 16 with weights of 8."""


@dataclass(frozen=True)
class Instruction:
    """A multiply-accumulate on integers.

    Attributes:
        name: Of the tensor intrinsic, for as many lanes as asked.
        data: What it multiplies with weights of 8 bits.
        llvm: LLVM's name of it.
        lanes: 32-bit sums at once.
        adds: Whether it adds to sums by itself.
    """

    name: str
    data: StorageType
    llvm: str
    lanes: int
    adds: bool = True

    @property
    def group(self) -> int:
        """Neighbouring products that it adds to one 32-bit lane."""
        return BYTES if self.data.bits == INT8.bits else PAIRS


_X86 = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256"}
_ARM = {4: "llvm.aarch64.neon.sdot.v4i32.v16i8"}
_X86_PAIRS = {16: "llvm.x86.avx512.vpdpwssd.512", 8: "llvm.x86.avx512.vpdpwssd.256"}
_X86_APART = {
    16: ("+avx512bw", "llvm.x86.avx512.pmaddw.d.512"),
    8: ("+avx2", "llvm.x86.avx2.pmadd.wd"),
    4: ("", "llvm.x86.sse2.pmadd.wd"),
}
"""Instructions that leave the sum to another one, and the extension that has each."""


def instruction(machine: Machine, lanes: int, group: int) -> Instruction | None:
    """Returns the instruction for ``lanes`` 32-bit sums at once, None where there is none.

    Args:
        machine: What has it.
        lanes: How many sums.
        group: `BYTES` or `PAIRS`. (ARM multiplies numbers of 16 bits one by one, as fast as any.)
    """
    candidate = _of_bytes(machine, lanes) if group == BYTES else _of_pairs(machine, lanes)
    if candidate is not None:
        _register(candidate)
    return candidate


def _of_bytes(machine: Machine, lanes: int) -> Instruction | None:
    if machine.dot in ("avx512_vnni", "avx_vnni") and lanes in _X86:
        return Instruction(f"edgeopt.vpdpbusd.{lanes}", UINT8, _X86[lanes], lanes)
    if machine.dot == "dotprod" and machine.arch == "aarch64" and lanes in _ARM:
        return Instruction(f"edgeopt.sdot.{lanes}", INT8, _ARM[lanes], lanes)
    return None


def _of_pairs(machine: Machine, lanes: int) -> Instruction | None:
    if machine.arch != "x86_64":
        return None
    if machine.dot in ("avx512_vnni", "avx_vnni") and lanes in _X86_PAIRS:
        return Instruction(f"edgeopt.vpdpwssd.{lanes}", INT16, _X86_PAIRS[lanes], lanes)
    extension, llvm = _X86_APART.get(lanes, ("", ""))
    if not llvm or (extension and extension not in machine.features):
        return None
    return Instruction(f"edgeopt.pmaddwd.{lanes}", INT16, llvm, lanes, adds=False)


@cache
def _register(one: Instruction) -> None:
    TensorIntrin.register(one.name, _meaning(one), _emission(one))


def _meaning(one: Instruction) -> Any:
    lanes, group, kind = one.lanes, one.group, one.data.name

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (group,), kind, offset_factor=1)
        B = T.match_buffer(b, (lanes, group), "int8", offset_factor=1)
        C = T.match_buffer(c, (lanes,), "int32", offset_factor=1)
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:group], B[0:lanes, 0:group])
            T.writes(C[0:lanes])
            for i in T.serial(lanes):
                for k in T.serial(group):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        C[vi] = C[vi] + T.Cast("int32", A[vk]) * T.Cast("int32", B[vi, vk])

    return meaning


def _emission(one: Instruction) -> Any:
    lanes, group, kind = one.lanes, one.group, one.data.name
    weights = f"int8x{group * lanes}"

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def emission(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (group,), kind, offset_factor=1)
        B = T.match_buffer(b, (lanes, group), "int8", offset_factor=1)
        C = T.match_buffer(c, (lanes,), "int32", offset_factor=1)
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:group], B[0:lanes, 0:group])
            T.writes(C[0:lanes])
            C[T.ramp(0, 1, lanes)] = _added(
                one, C[T.ramp(0, 1, lanes)], A[T.ramp(0, 1, group)], B.vload([0, 0], weights)
            )

    return emission


def _added(one: Instruction, sums: Any, data: Any, weights: Any) -> Any:
    """Returns ``sums`` with the products added.

    Weights beside 16 bits are widened as they are loaded: that is once for all pixels of a tile.
    """
    numbers = f"int32x{one.lanes}"
    factors = f"int{32 // one.group}x{one.group * one.lanes}"
    spread = T.reinterpret(factors, T.broadcast(T.reinterpret("int32", data), one.lanes))
    if one.group != BYTES:
        weights = T.Cast(factors, weights)
    if one.adds:
        return T.call_llvm_pure_intrin(numbers, one.llvm, sums, spread, weights)
    return sums + T.call_llvm_pure_intrin(numbers, one.llvm, spread, weights)
