"""QEMU's user-mode emulators: where they are, which cores they know, what they can start."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec

from edgeopt.errors import DeviceError
from edgeopt.registry.suggest import did_you_mean

__all__ = ["EMULATED", "Emulated", "check_program", "emulator"]

_HEAD = 20  # bytes of an ELF file up to and with e_machine


class Emulated(msgspec.Struct, frozen=True):
    """An architecture that can be emulated.

    Attributes:
        qemu: QEMU's name of it.
        debian: Debian's name of it.
        mcpu: The core that is emulated where none is named.
        elf: ``e_machine`` of its programs.
        bits: 32 or 64.
        wheel: Its name in platform tags of wheels.
    """

    qemu: str
    debian: str
    mcpu: str
    elf: int
    bits: int
    wheel: str


EMULATED = {
    "aarch64": Emulated("aarch64", "arm64", "cortex-a72", 183, 64, "aarch64"),
    "armv7": Emulated("arm", "armhf", "cortex-a7", 40, 32, "armv7l"),
    "riscv64": Emulated("riscv64", "riscv64", "rv64", 243, 64, "riscv64"),
}
"""Our name of an architecture to what is needed to emulate it."""


@cache
def emulator(arch: str, mcpu: str) -> tuple[Path, str]:
    """Returns QEMU's program for ``arch`` and its version.

    Raises:
        DeviceError: The system cannot emulate, QEMU is not installed, or lacks the core.
    """
    if arch not in EMULATED:
        hint = did_you_mean(arch, EMULATED) or f"there are {', '.join(EMULATED)}"
        raise DeviceError(f'"{arch}" cannot be emulated', where="emulated device", hint=hint)
    name = f"qemu-{EMULATED[arch].qemu}"
    program = shutil.which(f"{name}-static") or shutil.which(name)
    if sys.platform != "linux" or program is None:
        what = f"{name} is not installed" if sys.platform == "linux" else "this needs Linux"
        hint = "sudo apt-get install qemu-user-static"
        raise DeviceError(what, where="emulated device", hint=hint)
    cores = _cores(program)
    if mcpu not in cores:
        hint = did_you_mean(mcpu, cores) or f"it knows {', '.join(cores)}"
        what = f'{_version(program)} does not know the core "{mcpu}"'
        raise DeviceError(what, where="emulated device", hint=hint)
    return Path(program), _version(program)


def check_program(path: Path, arch: str, where: str) -> None:
    """Raises unless ``path`` is a program that the emulator of ``arch`` can start.

    Raises:
        DeviceError: It is missing, a script, or a program of another architecture.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        what = f"`{path}` could not be started: {error.strerror}"
        raise DeviceError(what, where=where) from error
    machine = EMULATED[arch]
    elf = head[:5] == b"\x7fELF" + bytes([machine.bits // 32]) and len(head) == _HEAD
    if elf and struct.unpack_from("<H", head, 18)[0] == machine.elf and os.access(path, os.X_OK):
        return
    hint = "a Python script is started as python3 FILE" if head[:2] == b"#!" else None
    what = f"`{path}` could not be started: it is no {arch} program that may be run"
    raise DeviceError(what, where=where, hint=hint)


def _cores(program: str) -> list[str]:
    rows = [row.split() for row in _ask(program, "-cpu", "help").splitlines()]
    return [row[0] for row in rows if len(row) == 1]  # the heading has several words


def _version(program: str) -> str:
    match = re.search(r"version ([\w.]+)", _ask(program, "--version"))
    return f"{Path(program).name.removesuffix('-static')} {match.group(1) if match else '?'}"


def _ask(program: str, *arguments: str) -> str:
    try:
        process = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"{program} does not run: {error}", where="emulated device") from error
    return process.stdout
