"""The descriptor of a device: what it is, and what a program for it must look like."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Cpu", "Os", "PeakRate", "Quantization", "Target"]

Arch = Literal["aarch64", "armv7", "riscv64", "x86_64"]


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
