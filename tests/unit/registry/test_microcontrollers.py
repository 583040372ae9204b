"""Microcontrollers: what their descriptors may not say, and that zig and QEMU know what they name."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

import edgeopt_targets
from edgeopt.errors import TargetError
from edgeopt.registry import find_target, targets
from edgeopt.registry.descriptor import parse_descriptor, read_descriptor
from edgeopt.registry.microcontroller_rules import EMULATORS

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.contracts import Target

FOLDER = edgeopt_targets.descriptors()
PICO2, RPI4, C3 = (
    tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    for name in ("pico2", "rpi4", "esp32-c3")
)
SHIPPED = [
    target
    for target in map(read_descriptor, sorted(FOLDER.glob("*.toml")))
    if target.microcontroller is not None
]
M, R = "microcontroller", "microcontroller.regions"
FLASH = {"name": "flash", "kind": "flash", "start": 0x10000000, "size_kb": 4096}

WRONG = [
    (
        f"{R}[2].start",
        {f"{R}.2.start": 0x20001000},
        "expected a start outside of SRAM0-7 (0x20000000 to 0x20080000), got 0x20001000",
    ),
    (R, {R: [FLASH]}, 'expected a region of kind "ram", got none'),
    (R, {R: PICO2[M]["regions"][1:]}, 'expected a region of kind "flash", got none'),
    (f"{R}[0].size_kb", {f"{R}.0.size_kb": 0}, "expected 1 or more, got 0"),
    (f"{R}[1].start", {f"{R}.1.start": 0x20000004}, "expected a multiple of 16, got 0x20000004"),
    (f"{R}[1].start", {f"{R}.1.start": -16}, "expected a multiple of 16, got -16"),
    (
        f"{R}[3].size_kb",
        {f"{R}.3.start": 0xFFFFFC00, f"{R}.3.size_kb": 2},
        "expected an end of at most 0x100000000, got 0x100000400",
    ),
    (
        f"{R}[2].name",
        {f"{R}.2.name": "SRAM9"},
        None,  # the second one of that name is refused, which is the next
    ),
    (f"{M}.emulator", {f"{M}.emulator": "mps9"}, 'expected a machine of QEMU for cortex-m, or ""'),
    (f"{M}.reserved_ram_kb", {f"{M}.reserved_ram_kb": 520}, "expected less than all there is"),
    (f"{M}.reserved_flash_kb", {f"{M}.reserved_flash_kb": -1}, "expected less than all there is"),
    ("os.name", {"os.name": "Debian 12"}, 'expected "none", got "Debian 12"'),
    ("os.glibc", {"os.glibc": "2.36"}, 'expected "", got "2.36"'),
    ("os.python", {"os.python": "3.11"}, 'expected "", got "3.11"'),
    ("memory_mb", {"memory_mb": 1}, "expected 0, got 1"),
    (f"{M}.fpu", {f"{M}.fpu": "double"}, 'expected "single", as cpu.isa has it, got "double"'),
    (f"{M}.mve", {f"{M}.mve": True}, "expected false, as cpu.isa has it, got true"),
    (f"{M}.dsp", {f"{M}.dsp": False}, "expected true, as cpu.isa has it, got false"),
    (
        f"{M}.zig_triple",
        {f"{M}.zig_triple": "riscv32-freestanding-none"},
        'expected "thumb-freestanding-eabi" or "thumb-freestanding-eabihf"',
    ),
    (f"{M}.zig_triple", {f"{M}.fpu": "none", "cpu.isa": ["dsp"]}, "for a core without FPU"),
    (f"{M}.zig_cpu", {f"{M}.zig_cpu": "cortex-m33 -O3"}, "expected a core of zig's, such as"),
    ("cpu.arch", {"cpu.arch": "aarch64", "cpu.triple": "aarch64-linux-gnu"}, "there is a table"),
]


def _change(table: dict[str, Any], path: str, value: object) -> None:
    *steps, last = path.split(".")
    for step in steps:
        table = table[int(step)] if step.isdigit() else table[step]  # type: ignore[index]
    table[last] = value


@pytest.mark.parametrize(("path", "changes", "what"), WRONG, ids=[str(w[0]) for w in WRONG])
def test_what_is_wrong_is_named(path: str, changes: dict[str, object], what: str | None) -> None:
    table = copy.deepcopy(PICO2)
    for place, value in changes.items():
        _change(table, place, value)
    with pytest.raises(TargetError) as caught:
        parse_descriptor(table, file="mine.toml")
    if what is None:
        path, what = f"{R}[3].name", 'expected a name that differs from the others, got "SRAM9"'
    assert f"mine.toml: {path}: " in str(caught.value)
    assert what in str(caught.value)


def test_a_core_without_a_memory_map() -> None:
    table = copy.deepcopy(PICO2)
    del table[M]
    table["sources"] = {}
    with pytest.raises(
        TargetError, match=r"expected a table, as cpu.arch is cortex-m, got nothing"
    ):
        parse_descriptor(table, file="mine.toml")


def test_a_device_with_a_system_has_no_memory_map() -> None:
    table = copy.deepcopy(RPI4)
    table[M] = PICO2[M]
    with pytest.raises(TargetError) as caught:
        parse_descriptor(table, file="mine.toml")
    assert "cpu.arch: expected cortex-m or riscv32" in str(caught.value)


def test_risc_v_has_no_helium() -> None:
    table = copy.deepcopy(C3)
    table["cpu"]["isa"].append("dsp_of_ours")
    table[M]["dsp"] = True
    with pytest.raises(TargetError, match=r"expected no DSP extension nor Helium"):
        parse_descriptor(table, file="mine.toml")


def test_what_a_program_may_use() -> None:
    micro = find_target("esp32-c3").microcontroller
    assert micro is not None
    assert (micro.flash_kb, micro.ram_kb) == (4096 - 64, 384 - 68)


@pytest.mark.parametrize(
    ("name", "arena_kb"),
    [("pico", 260), ("portenta-h7", 512), ("stm32u5", 768), ("esp32-c6", 437)],
)
def test_an_arena_lies_in_one_stretch(name: str, arena_kb: int) -> None:
    micro = find_target(name).microcontroller
    assert micro is not None
    assert micro.arena_kb == arena_kb


@pytest.mark.parametrize("said", ["esp32-s3", "ESP32S3", "esp32", "ESP32-S2", "arduino-nano-esp32"])
def test_xtensa_is_refused_with_the_reason(said: str) -> None:
    with pytest.raises(TargetError) as caught:
        find_target(said)
    assert "Xtensa" in caught.value.what
    assert "no compiler" in caught.value.what
    assert caught.value.hint is not None
    assert "esp32-c3" in caught.value.hint


def test_a_descriptor_of_ones_own_may_have_such_a_name(user_targets: Path) -> None:
    text = (FOLDER / "esp32-c3.toml").read_text(encoding="utf-8")
    aliases = re.compile(r"^aliases = .*$", re.MULTILINE)
    text = aliases.sub("aliases = []", text.replace('"esp32-c3"', '"esp32-s3"', 1))
    (user_targets / "mine.toml").write_text(text, encoding="utf-8")
    assert find_target("esp32-s3").name == "esp32-s3"
    assert "esp32-s3" in targets()


def _macros(target: Target) -> dict[str, str]:
    micro = target.microcontroller
    assert micro is not None
    core = ["-target", micro.zig_triple, f"-mcpu={micro.zig_cpu}"]
    command = [sys.executable, "-m", "ziglang", "cc", *core, "-dM", "-E", "-x", "c", "/dev/null"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^#define (\w+) (.*)$", done.stdout, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("target", SHIPPED, ids=[target.name for target in SHIPPED])
def test_zig_compiles_for_the_core_that_is_described(target: Target) -> None:
    """zig's cores have neither FPU, DSP (on a Cortex-M33) nor Helium unless they are named."""
    pytest.importorskip("ziglang", reason="asks the compiler")
    macros, micro = _macros(target), target.microcontroller
    assert micro is not None
    bits = int(macros.get("__ARM_FP", "0"), 16)
    assert (bits & 4 != 0, bits & 8 != 0) == (micro.fpu != "none", micro.fpu == "double")
    assert ("__ARM_FEATURE_DSP" in macros) == micro.dsp
    assert macros.get("__ARM_FEATURE_MVE", "0") == ("3" if micro.mve else "0")
    if target.cpu.arch == "riscv32":
        assert "__riscv_mul" in macros
        assert ("__riscv_atomic" in macros) == ("a" in target.cpu.isa)
        assert ("__riscv_zbb" in macros) == ("zbb" in target.cpu.isa)


def test_the_machines_are_those_of_qemu() -> None:
    program = shutil.which("qemu-system-arm")
    if program is None:
        pytest.skip("qemu-system-arm is missing here")
    done = subprocess.run([program, "-M", "help"], capture_output=True, text=True, check=True)
    assert set(EMULATORS["cortex-m"]) <= {line.split()[0] for line in done.stdout.splitlines()}
