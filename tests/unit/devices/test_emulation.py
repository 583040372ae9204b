from __future__ import annotations

import stat

import pytest

from edgeopt.devices.guest import Guest, lay_view
from edgeopt.devices.hwcaps import cpuinfo_text, features, midr
from edgeopt.devices.qemu import check_program
from edgeopt.devices.sysroot import Sysroot
from edgeopt.errors import DeviceError
from edgeopt.registry.cpuinfo import parse_cpuinfo

A72 = 0b1000_1111_1111  # what QEMU says of a Cortex-A72


def elf(machine, bits=64):
    return b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(11) + machine.to_bytes(2, "little")


def guest(**markers):
    return Guest(A72, 0, "2.36", {"python_version": "3.11", **markers})


def test_the_features_of_a_cortex_a72():
    names = features("aarch64", A72, 0)
    assert names == ["fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "cpuid"]
    found = parse_cpuinfo(cpuinfo_text("aarch64", "cortex-a72", names, 4), "aarch64")
    assert found.mcpu == "cortex-a72"
    assert found.isa == ("neon", "aes", "sha2", "crc")


def test_the_features_of_other_families():
    assert features("armv7", 1 << 12 | 1 << 16, 1 << 4) == ["neon", "vfpv4", "crc32"]
    rv64gc = sum(1 << "abcdefghijklmnopqrstuvwxyz".index(letter) for letter in "imafdc")
    assert "".join(features("riscv64", rv64gc, 0)) == "imafdc"
    text = cpuinfo_text("riscv64", "rv64", features("riscv64", rv64gc, 0), 2)
    assert parse_cpuinfo(text, "riscv64").isa == ("i", "m", "a", "f", "d", "c")


def test_second_features():
    assert features("aarch64", 1 << 20, 1 << 13 | 1 << 14) == ["asimddp", "i8mm", "bf16"]


def test_the_identification_register():
    assert midr("cortex-a72") == 0x410FD080
    assert midr("max") == 0
    assert "CPU part\t: 0x000" in cpuinfo_text("aarch64", "max", [], 1)


def test_wheels_are_asked_for_by_glibc():
    python = guest().interpreter("aarch64")
    assert python.version == "3.11"
    assert python.platforms[0] == "manylinux_2_36_aarch64"
    assert python.platforms[-3:] == (
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
        "linux_aarch64",
    )
    assert guest().interpreter("riscv64").platforms[-2:] == (
        "manylinux_2_31_riscv64",
        "linux_riscv64",
    )


def test_the_view_shows_the_core_and_the_root(tmp_path):
    root, view = tmp_path / "root", tmp_path / "view"
    (root / "usr").mkdir(parents=True)
    (root / "usr" / "file").write_text("here")
    view.mkdir()
    lay_view(view, Sysroot("aarch64", str(root), "3.11"), "cortex-a53", guest())
    assert (view / "usr" / "file").read_text() == "here"
    assert "0xd03" in (view / "proc" / "cpuinfo").read_text()
    register = view / "sys/devices/system/cpu/cpu0/regs/identification/midr_el1"
    assert register.read_text() == "0x00000000410fd030\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        (b"", "no aarch64 program"),
        (b"#!/usr/bin/python3\n", "python3 FILE"),
        (elf(62), "no aarch64 program"),
        (elf(183, bits=32), "no aarch64 program"),
        (elf(183)[:10], "no aarch64 program"),
    ],
)
def test_what_the_emulator_cannot_start(tmp_path, content, says):
    path = tmp_path / "program"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o755)
    with pytest.raises(DeviceError) as caught:
        check_program(path, "aarch64", "here")
    assert says in str(caught.value)


def test_what_it_can_start(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(elf(183))
    path.chmod(0o644)
    with pytest.raises(DeviceError, match="may be run"):
        check_program(path, "aarch64", "here")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    check_program(path, "aarch64", "here")
