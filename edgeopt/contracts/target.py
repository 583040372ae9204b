"""The descriptor of a device: what it is, and what a program for it must look like."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "Cpu",
    "MemoryRegion",
    "Microcontroller",
    "Npu",
    "Os",
    "PeakRate",
    "Quantization",
    "Target",
]

Arch = Literal["aarch64", "armv7", "riscv64", "x86_64", "cortex-m", "riscv32"]


class Cpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The processor.

    Attributes:
        arch: Instruction set family.
        model: Name of the core, for example ``Cortex-A72``.
        cores: How many cores a program may use.
        isa: Features, on x86 as the Linux kernel spells them (``avx512_vnni``), elsewhere as
            compilers do in ``-march`` (``dotprod``); `edgeopt.registry.isa` lists them.
        mcpu: LLVM's name of the core, for code generators.
        triple: Compiler triple.
        vector_bits: Width of the vector registers.
        max_mhz: Highest clock, in MHz.
        fast_cores: How many of the cores are of the fastest kind; 0 where all are alike.
    """

    arch: Arch
    model: str
    cores: int
    isa: tuple[str, ...]
    mcpu: str
    triple: str
    vector_bits: int
    max_mhz: int = 0
    fast_cores: int = 0


class Os(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The system on the device.

    Attributes:
        name: Distribution and release, for example ``Raspberry Pi OS 12 (bookworm)``.
        glibc: Version of the C library, for example ``2.36``; empty where it is another.
        python: Version of the system's Python, for example ``3.11``; empty where there is none.
    """

    name: str
    glibc: str
    python: str


class Quantization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How integers should look for this device.

    Attributes:
        activations: ``int8`` or ``uint8`` where kernels prefer it; the grid is the same.
        weight_bits: 8, or 7 where 8-bit products saturate (AVX2 and older without VNNI).
        channel_multiple: Channels should be a multiple of this to fill the vectors.
    """

    activations: Literal["int8", "uint8"] = "int8"
    weight_bits: Literal[7, 8] = 8
    channel_multiple: int = 8


class MemoryRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a microcontroller's address space.

    Attributes:
        name: What the data sheet calls it, for example ``SRAM4``.
        kind: ``flash``: keeps its content and holds code and constants; ``ram``: arena and stack.
        start: Its first address.
        size_kb: Its size in KiB.
    """

    name: str
    kind: Literal["flash", "ram"]
    start: int
    size_kb: int


class Microcontroller(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device without an operating system has.

    Attributes:
        regions: Its memory, the regions that a program uses first ahead of the others.
        zig_triple: What its programs are compiled for, as zig writes it.
        zig_cpu: zig's name of the core, features added and subtracted. zig takes an FPU, Helium and a
            Cortex-M33's DSP extension only where they are named: ``cortex_m4+vfp4d16sp``.
        fpu: Precision of its float instructions.
        dsp: Whether it has the DSP extension (SMLAD).
        mve: Whether it has Helium (MVE), integers at least.
        emulator: The machine of QEMU with that core, for example ``mps2-an386``; empty for none.
        reserved_ram_kb: RAM that the board's own software takes, and a stack, in KiB.
        reserved_flash_kb: Flash that a boot loader takes, in KiB.
    """

    regions: tuple[MemoryRegion, ...]
    zig_triple: str
    zig_cpu: str
    fpu: Literal["none", "single", "double"] = "none"
    dsp: bool = False
    mve: bool = False
    emulator: str = ""
    reserved_ram_kb: int = 4
    reserved_flash_kb: int = 0

    @property
    def flash_kb(self) -> int:
        """Flash that a program may fill, in KiB."""
        return self._total("flash") - self.reserved_flash_kb

    @property
    def ram_kb(self) -> int:
        """RAM that a program may use, all regions together, in KiB."""
        return self._total("ram") - self.reserved_ram_kb

    @property
    def arena_kb(self) -> int:
        """The largest stretch of RAM without a gap, in KiB: no arena can be larger."""
        longest, length, end = 0, 0, -1
        for region in sorted(self.regions, key=lambda one: one.start):
            if region.kind == "ram":
                length = region.size_kb + (length if region.start == end else 0)
                end = region.start + 1024 * region.size_kb
                longest = max(longest, length)
        return min(longest, self.ram_kb)

    def _total(self, kind: str) -> int:
        return sum(region.size_kb for region in self.regions if region.kind == kind)


class Npu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A neural processor beside the CPU, for which a backend may write a file of its own.

    Attributes:
        model: Kind and size, as its compiler calls them: ``ethos-u65-256`` has 256 multipliers.
        system: The compiler's name of a system like the device's: clocks and memories, for its estimates.
        memory_mode: The compiler's name of where constants and activations lie.
    """

    model: Literal[
        "ethos-u55-32",
        "ethos-u55-64",
        "ethos-u55-128",
        "ethos-u55-256",
        "ethos-u65-256",
        "ethos-u65-512",
    ]
    system: str
    memory_mode: str


class PeakRate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peak rate of the device.

    Attributes:
        what: ``int8_gops``, ``fp32_gflops``, ``fp16_gflops`` or ``memory_gb_s``.
        value: The rate, all cores together, in the unit that ``what`` names.
        source: Where it comes from, or how it was derived.
    """

    what: Literal["int8_gops", "fp32_gflops", "fp16_gflops", "memory_gb_s"]
    value: float
    source: str


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device, as one TOML file describes it.

    Attributes:
        name: The name users write, for example ``rpi4``.
        title: The name a person reads, for example ``Raspberry Pi 4 Model B``.
        aliases: Other names that mean the same.
        soc: System on chip.
        cpu: The processor.
        os: The system.
        memory_mb: Main memory in MiB (the smallest variant sold); 0 where it varies.
        backends: Names of backends, the preferred first; others may be chosen after them.
        quantization: How integers should look.
        rates: Peak rates, each with its source.
        sources: Field path (``cpu.max_mhz``) to the page or data sheet the figure comes from.
        notes: What a person should know.
        microcontroller: Its memory and core, where it has no operating system.
        npu: Its neural processor, where it has one that a backend compiles for.
    """

    name: str
    title: str
    soc: str
    cpu: Cpu
    os: Os
    memory_mb: int
    backends: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    quantization: Quantization = Quantization()
    rates: tuple[PeakRate, ...] = ()
    sources: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    microcontroller: Microcontroller | None = None
    npu: Npu | None = None
