"""This machine as a target, from what its system says about itself.

Nothing is measured and nothing is started; where the system tells little (as on macOS), only what
every processor of that kind has is claimed.
"""

from __future__ import annotations

import platform
import struct
import sys
from dataclasses import dataclass

from edgeopt.contracts.target import Arch, Cpu, Os, Quantization, Target
from edgeopt.errors import TargetError
from edgeopt.registry.cpuinfo import Processor, read_processor
from edgeopt.registry.isa import saturates, vector_bits
from edgeopt.registry.limits import fast_cores, max_mhz, memory_mb, usable_cores

__all__ = ["HOST_NAMES", "MachineFacts", "detect_host", "host_target"]

HOST_NAMES = ("host", "local", "localhost", "this-machine")
"""The names under which this machine is found, the name proper first."""

_ARCHS: dict[str, Arch] = {
    "aarch64": "aarch64",
    "arm64": "aarch64",
    "armv7l": "armv7",
    "armv8l": "armv7",
    "riscv64": "riscv64",
    "x86_64": "x86_64",
    "amd64": "x86_64",
}
_PREFERRED: dict[Arch, tuple[str, ...]] = {
    "aarch64": ("tflite", "openvino", "tvm"),
    "armv7": ("tflite", "tvm"),
    "riscv64": ("tvm",),
    "x86_64": ("openvino", "tflite", "tvm"),
}
_TRIPLES = {
    ("Linux", "armv7"): "arm-linux-gnueabihf",
    ("Darwin", "aarch64"): "arm64-apple-macosx",
    ("Darwin", "x86_64"): "x86_64-apple-macosx",
    ("Windows", "aarch64"): "aarch64-pc-windows-msvc",
    ("Windows", "x86_64"): "x86_64-pc-windows-msvc",
}


@dataclass(frozen=True)
class MachineFacts:
    """What a machine's system says about it.

    Attributes:
        system: ``Linux``, ``Darwin`` or ``Windows``.
        arch: Instruction set family that programs of this Python's width see.
        processor: Its model and features.
        cores: Cores that this process may use.
        fast_cores: How many of them are of the fastest kind; 0 where all are alike.
        max_mhz: Highest clock; 0 where unknown.
        memory_mb: Memory in MiB that this process may use; 0 where unknown.
        os_name: The system and its release.
        glibc: Version of the C library; empty where it is another.
        python: Version of this Python.
    """

    system: str
    arch: Arch
    processor: Processor
    cores: int
    fast_cores: int
    max_mhz: int
    memory_mb: int
    os_name: str
    glibc: str
    python: str


def detect_host() -> Target:
    """Returns this machine as the target ``host``.

    Raises:
        TargetError: Its processor is of a family that edgeopt does not know.
    """
    arch = _arch(platform.machine(), bits=8 * struct.calcsize("P"))
    library, version = platform.libc_ver()
    return host_target(
        MachineFacts(
            system=platform.system(),
            arch=arch,
            processor=read_processor(arch),
            cores=usable_cores(),
            fast_cores=fast_cores(),
            max_mhz=max_mhz(),
            memory_mb=memory_mb(),
            os_name=_os_name(),
            glibc=version if library == "glibc" else "",
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
        )
    )


def host_target(facts: MachineFacts) -> Target:
    """Returns the target ``host`` for a machine of which ``facts`` are known."""
    cpu = _cpu(facts)
    return Target(
        name=HOST_NAMES[0],
        title=f"This machine ({facts.processor.model})",
        aliases=HOST_NAMES[1:],
        soc=facts.processor.soc,
        cpu=cpu,
        os=Os(name=facts.os_name, glibc=facts.glibc, python=facts.python),
        memory_mb=facts.memory_mb,
        backends=_PREFERRED[facts.arch],
        quantization=_quantization(cpu),
        sources=_sources(facts),
        notes=facts.processor.notes,
    )


def _cpu(facts: MachineFacts) -> Cpu:
    isa = facts.processor.isa
    return Cpu(
        arch=facts.arch,
        model=facts.processor.model,
        cores=facts.cores,
        isa=isa,
        mcpu=facts.processor.mcpu,
        triple=_TRIPLES.get((facts.system, facts.arch), f"{facts.arch}-linux-gnu"),
        vector_bits=vector_bits(isa, facts.arch),
        max_mhz=facts.max_mhz,
        fast_cores=facts.fast_cores,
    )


def _quantization(cpu: Cpu) -> Quantization:
    floats_a_vector = cpu.vector_bits // 32
    return Quantization(
        activations="uint8" if cpu.arch == "x86_64" else "int8",
        weight_bits=7 if saturates(cpu.isa, cpu.arch) else 8,
        channel_multiple=max(8, floats_a_vector) if floats_a_vector else 1,
    )


def _sources(facts: MachineFacts) -> dict[str, str]:
    sources = {
        "cpu.model": facts.processor.source,
        "cpu.isa": facts.processor.source,
        "cpu.cores": "the cores this process may run on",
        "os.python": "sys.version_info",
    }
    if facts.memory_mb:
        sources["memory_mb"] = "the memory this process may use"
    if facts.max_mhz:
        sources["cpu.max_mhz"] = "cpufreq/cpuinfo_max_freq"
    if facts.glibc:
        sources["os.glibc"] = "platform.libc_ver()"
    return sources


def _arch(machine: str, *, bits: int) -> Arch:
    arch = _ARCHS.get(machine.lower())
    if arch is None:
        families = ", ".join(sorted(_ARCHS))
        what = f"this machine's processor is of the family {machine!r}, which edgeopt does not know"
        raise TargetError(what, where="host", hint=f"known families: {families}")
    return "armv7" if arch == "aarch64" and bits == 32 else arch  # noqa: PLR2004 (32-bit Python)


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}".strip()
