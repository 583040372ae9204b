"""What the descriptor of a microcontroller must satisfy: its memory map, its core, its emulator."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from edgeopt.registry.schema import Problem, shown
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgeopt.contracts.target import MemoryRegion, Target

__all__ = ["EMULATORS", "MICROCONTROLLER_RULES"]

EMULATORS: dict[str, tuple[str, ...]] = {
    "cortex-m": (
        "microbit", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547",
    ),
    "riscv32": ("virt",),
}  # fmt: skip
"""Architecture of microcontrollers to the machines of QEMU that there is a firmware for."""

_PLACE = "microcontroller"
_ALIGNMENT = 16  # of arenas and constants, in bytes
_END = 2**32  # of the address space
_ZIG_TRIPLES = {
    "cortex-m": ("thumb-freestanding-eabi", "thumb-freestanding-eabihf"),
    "riscv32": ("riscv32-freestanding-none", "riscv32-freestanding-eabi"),
}
_ZIG_CPU = re.compile(r"[a-z0-9_]+([+-][a-z0-9_]+)*")


def _presence(target: Target) -> Iterator[Problem]:
    needed = target.cpu.arch in EMULATORS
    if needed and target.microcontroller is None:
        yield Problem(_PLACE, f"expected a table, as cpu.arch is {target.cpu.arch}, got nothing")
    elif target.microcontroller is not None and not needed:
        allowed = " or ".join(EMULATORS)
        what = f"expected {allowed}, as there is a table [{_PLACE}], got {shown(target.cpu.arch)}"
        yield Problem("cpu.arch", what)


def _no_system(target: Target) -> Iterator[Problem]:
    if target.microcontroller is None:
        return
    hint = f"a device with a system has no table [{_PLACE}]"
    texts = {"os.name": (target.os.name, "none"), "os.glibc": (target.os.glibc, "")}
    texts["os.python"] = (target.os.python, "")
    for path, (value, expected) in texts.items():
        if value != expected:
            yield Problem(path, f"expected {shown(expected)}, got {shown(value)}", hint)
    if target.memory_mb:
        what = f"expected 0, got {target.memory_mb}"
        yield Problem("memory_mb", what, f"the memory is that of {_PLACE}.regions")


def _region_fields(target: Target) -> Iterator[Problem]:
    names: set[str] = set()
    for path, region in _regions(target):
        if not region.name.strip() or region.name in names:
            what = f"expected a name that differs from the others, got {shown(region.name)}"
            yield Problem(f"{path}.name", what)
        names.add(region.name)
        if region.size_kb < 1:
            yield Problem(f"{path}.size_kb", f"expected 1 or more, got {region.size_kb}")
        if region.start < 0 or region.start % _ALIGNMENT:
            what = f"expected a multiple of {_ALIGNMENT}, got {_address(region.start)}"
            yield Problem(f"{path}.start", what)
        elif _end(region) > _END:
            what = f"expected an end of at most {_address(_END)}, got {_address(_end(region))}"
            yield Problem(f"{path}.size_kb", what)


def _overlaps(target: Target) -> Iterator[Problem]:
    solid = [pair for pair in _regions(target) if pair[1].size_kb > 0]
    for (_, low), (path, high) in pairwise(sorted(solid, key=lambda pair: pair[1].start)):
        if high.start < _end(low):
            name = f"{low.name} ({_address(low.start)} to {_address(_end(low))})"
            what = f"expected a start outside of {name}, got {_address(high.start)}"
            yield Problem(f"{path}.start", what)


def _has_both_kinds(target: Target) -> Iterator[Problem]:
    micro = target.microcontroller
    if micro is None:
        return
    reserved = {"flash": micro.reserved_flash_kb, "ram": micro.reserved_ram_kb}
    for kind, taken in reserved.items():
        sizes = [region.size_kb for region in micro.regions if region.kind == kind]
        if not sizes:
            yield Problem(f"{_PLACE}.regions", f"expected a region of kind {shown(kind)}, got none")
        elif not 0 <= taken < max(sum(sizes), 1):
            what = f"expected less than all there is ({sum(sizes)} KiB), got {taken}"
            yield Problem(f"{_PLACE}.reserved_{kind}_kb", what)


def _core(target: Target) -> Iterator[Problem]:
    """Yields where what the core can do is said twice, and differs."""
    micro, isa = target.microcontroller, frozenset(target.cpu.isa)
    if micro is None:
        return
    double, single = bool(isa & {"fpdp", "d"}), bool(isa & {"fpsp", "f"})
    fpu = "double" if double else "single" if single else "none"
    said: dict[str, tuple[object, object]] = {
        "fpu": (micro.fpu, fpu),
        "dsp": (micro.dsp, "dsp" in isa),
        "mve": (micro.mve, "mve" in isa),
    }
    for name, (value, expected) in said.items():
        if value != expected:
            what = f"expected {shown(expected)}, as cpu.isa has it, got {shown(value)}"
            yield Problem(f"{_PLACE}.{name}", what)
    if target.cpu.arch == "riscv32" and (micro.dsp or micro.mve):
        yield Problem(f"{_PLACE}.dsp", "expected no DSP extension nor Helium: it is no Cortex-M")
    if micro.zig_triple.endswith("hf") and micro.fpu == "none":
        what = f"expected a triple for a core without FPU, got {shown(micro.zig_triple)}"
        yield Problem(f"{_PLACE}.zig_triple", what)


def _compiler(target: Target) -> Iterator[Problem]:
    micro, allowed = target.microcontroller, _ZIG_TRIPLES.get(target.cpu.arch)
    if micro is None or allowed is None:
        return
    if micro.zig_triple not in allowed:
        what = f"expected {' or '.join(map(shown, allowed))}, got {shown(micro.zig_triple)}"
        yield Problem(f"{_PLACE}.zig_triple", what)
    if not _ZIG_CPU.fullmatch(micro.zig_cpu):
        what = (
            f'expected a core of zig\'s, such as "cortex_m4+vfp4d16sp", got {shown(micro.zig_cpu)}'
        )
        yield Problem(f"{_PLACE}.zig_cpu", what)


def _emulator(target: Target) -> Iterator[Problem]:
    micro, known = target.microcontroller, EMULATORS.get(target.cpu.arch, ())
    if micro is not None and micro.emulator and known and micro.emulator not in known:
        what = f'expected a machine of QEMU for {target.cpu.arch}, or "", got'
        hint = did_you_mean(micro.emulator, known) or f"there are {', '.join(known)}"
        yield Problem(f"{_PLACE}.emulator", f"{what} {shown(micro.emulator)}", hint)


def _regions(target: Target) -> list[tuple[str, MemoryRegion]]:
    """Returns the regions, each after its place in the descriptor."""
    regions = target.microcontroller.regions if target.microcontroller else ()
    return [(f"{_PLACE}.regions[{place}]", region) for place, region in enumerate(regions)]


def _end(region: MemoryRegion) -> int:
    return region.start + 1024 * region.size_kb


def _address(value: int) -> str:
    return f"0x{value:08X}" if value >= 0 else str(value)


MICROCONTROLLER_RULES: tuple[Callable[[Target], Iterator[Problem]], ...] = (
    _presence,
    _no_system,
    _region_fields,
    _overlaps,
    _has_both_kinds,
    _core,
    _compiler,
    _emulator,
)
"""Each takes a target whose types are right, and yields what is wrong with it."""
