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

if TYPE_CHECKING:
    from edgeopt_tvm.machine import Machine

__all__ = ["Instruction", "instruction"]


@dataclass(frozen=True)
class Instruction:
    """A multiply-accumulate on 8-bit integers.

    Attributes:
        group: Neighbouring products that it adds to one 32-bit lane.
        name: Of the tensor intrinsic for as many lanes as asked.
    """

    group: int
    name: str


_X86 = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256"}
_ARM = {4: "llvm.aarch64.neon.sdot.v4i32.v16i8"}


def instruction(machine: Machine, lanes: int) -> Instruction | None:
    """Returns the instruction for ``lanes`` 32-bit sums at once, None where there is none."""
    if machine.dot in ("avx512_vnni", "avx_vnni") and lanes in _X86:
        return Instruction(4, _registered(f"edgeopt.vpdpbusd.{lanes}", _X86[lanes], lanes, "uint8"))
    if machine.dot == "dotprod" and machine.arch == "aarch64" and lanes in _ARM:
        return Instruction(4, _registered(f"edgeopt.sdot.{lanes}", _ARM[lanes], lanes, "int8"))
    return None


@cache
def _registered(name: str, intrinsic: str, lanes: int, kind: str) -> str:
    TensorIntrin.register(name, _meaning(lanes, kind), _emission(intrinsic, lanes, kind))
    return name


def _meaning(lanes: int, kind: str) -> Any:
    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (4,), kind, offset_factor=1)
        B = T.match_buffer(b, (lanes, 4), "int8", offset_factor=1)
        C = T.match_buffer(c, (lanes,), "int32", offset_factor=1)
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:4], B[0:lanes, 0:4])
            T.writes(C[0:lanes])
            for i in T.serial(lanes):
                for k in T.serial(4):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        C[vi] = C[vi] + T.Cast("int32", A[vk]) * T.Cast("int32", B[vi, vk])

    return meaning


def _emission(intrinsic: str, lanes: int, kind: str) -> Any:
    numbers, bytes_ = f"int32x{lanes}", f"int8x{4 * lanes}"

    @T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
    def emission(a: T.handle, b: T.handle, c: T.handle) -> None:
        A = T.match_buffer(a, (4,), kind, offset_factor=1)
        B = T.match_buffer(b, (lanes, 4), "int8", offset_factor=1)
        C = T.match_buffer(c, (lanes,), "int32", offset_factor=1)
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:4], B[0:lanes, 0:4])
            T.writes(C[0:lanes])
            C[T.ramp(0, 1, lanes)] = T.call_llvm_pure_intrin(
                numbers,
                intrinsic,
                C[T.ramp(0, 1, lanes)],
                T.reinterpret(
                    bytes_, T.broadcast(T.reinterpret("int32", A[T.ramp(0, 1, 4)]), lanes)
                ),
                B.vload([0, 0], bytes_),
            )

    return emission
