"""What code is generated for: a device's processor, as kernels and TVM see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from edgeopt.contracts import Target

__all__ = ["Dot", "Machine", "here", "machine_of"]

Dot = Literal["avx512_vnni", "avx_vnni", "dotprod", "none"]
"""The instruction that adds four 8-bit products to each 32-bit lane; ``none`` where there is none."""

_LLVM_X86 = {
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
    "lahf_lm": "sahf",
    "pclmulqdq": "pclmul",
    "sha_ni": "sha",
    "bmi1": "bmi",
    "avx_vnni": "avxvnni",
    "avx_vnni_int8": "avxvnniint8",
    "avx_vnni_int16": "avxvnniint16",
    "avx_ifma": "avxifma",
    "avx_ne_convert": "avxneconvert",
    "avx512_vbmi2": "avx512vbmi2",
    "avx512_vnni": "avx512vnni",
    "avx512_bitalg": "avx512bitalg",
    "avx512_vpopcntdq": "avx512vpopcntdq",
    "avx512_bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16",
    "amx_tile": "amx-tile",
    "amx_int8": "amx-int8",
    "amx_bf16": "amx-bf16",
    "amx_fp16": "amx-fp16",
    "amx_complex": "amx-complex",
}
_LLVM_ARM = {"fp16": "fullfp16", "fp16fml": "fp16fml", "vfpv3": "vfp3", "vfpv4": "vfp4"}
_LLVM = {"x86_64": _LLVM_X86, "aarch64": _LLVM_ARM, "armv7": _LLVM_ARM, "riscv64": {}}


@dataclass(frozen=True)
class Machine:
    """A processor.

    Attributes:
        arch: ``aarch64``, ``armv7``, ``riscv64`` or ``x86_64``.
        triple: LLVM's triple, without a C library's version.
        mcpu: LLVM's name of the core.
        features: LLVM's names of features, each with ``+`` in front.
        cores: How many threads kernels are split for.
        vector_bytes: Width of a vector register; 16 where there are none, for the compiler to split.
        registers: Vectors that fit into registers.
        dot: The dot-product instruction that integer kernels may use.
        glibc: Version of the C library to link for.
    """

    arch: str
    triple: str
    mcpu: str
    features: tuple[str, ...]
    cores: int
    vector_bytes: int
    registers: int
    dot: Dot
    glibc: str

    @property
    def activations(self) -> Literal["int8", "uint8"]:
        """How 8-bit activations are stored: VNNI multiplies unsigned by signed bytes."""
        return "uint8" if self.arch == "x86_64" else "int8"

    @property
    def lanes(self) -> int:
        """32-bit numbers in a vector register."""
        return self.vector_bytes // 4

    def tvm_target(self, *, optimization: int | None = None) -> Any:
        """Returns TVM's description of it.

        Args:
            optimization: LLVM's level, 0 to 3; None for TVM's own, the highest.
        """
        import tvm  # noqa: PLC0415 (the toolchain)

        fields: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.mcpu,
            "mattr": list(self.features),
            "num-cores": self.cores,
        }
        if self.arch == "armv7":  # else TVM gives numbers to libm in the wrong registers
            fields["mfloat-abi"] = "hard" if self.triple.endswith("hf") else "soft"
        if optimization is not None:
            fields["opt-level"] = optimization
        return tvm.target.Target(fields)


def machine_of(target: Target) -> Machine:
    """Returns the processor of ``target``."""
    cpu = target.cpu
    names = _LLVM.get(cpu.arch, {})
    # A riscv core's base set comes with its triple, and LLVM knows it as the ABI.
    features = tuple(f"+{names.get(f, f)}" for f in cpu.isa)
    return Machine(
        arch=cpu.arch,
        triple=cpu.triple,
        mcpu=cpu.mcpu,
        features=features,
        cores=max(1, cpu.fast_cores or cpu.cores),
        vector_bytes=max(16, cpu.vector_bits // 8),
        registers=_registers(cpu.arch, cpu.vector_bits),
        dot=_dot(cpu.isa),
        glibc=target.os.glibc,
    )


@cache
def here() -> Machine:
    """Returns this machine."""
    from edgeopt.registry import find_target  # noqa: PLC0415 (reads files)

    return machine_of(find_target("host"))


def _registers(arch: str, vector_bits: int) -> int:
    if not vector_bits:
        return 8  # 32 numbers, four to a vector
    return 32 if arch == "aarch64" or vector_bits == 512 or arch == "riscv64" else 16  # noqa: PLR2004


def _dot(isa: tuple[str, ...]) -> Dot:
    extensions: tuple[Dot, ...] = ("avx512_vnni", "avx_vnni", "dotprod")
    for name in extensions:
        if name in isa:
            return name
    return "none"
