"""What an emulated machine is, asked of its own Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from edgeopt.boundary import decode_json
from edgeopt.devices.hwcaps import cpuinfo_text, features, midr
from edgeopt.devices.process import run_process
from edgeopt.devices.qemu import EMULATED
from edgeopt.devices.wheels import Interpreter
from edgeopt.errors import DeviceError, InputError
from edgeopt.registry.limits import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeopt.devices.sysroot import Sysroot

__all__ = ["Guest", "ask_guest", "lay_view"]

# The names of PEP 508's environment markers, as the `packaging` library fills them in.
_ASK = """
import ctypes, json, os, platform, sys
auxiliary = ctypes.CDLL(None).getauxval
auxiliary.restype, auxiliary.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
implementation = sys.implementation.version
print(json.dumps({
    "hwcap": auxiliary(16),
    "hwcap2": auxiliary(26),
    "glibc": platform.libc_ver()[1],
    "markers": {
        "implementation_name": sys.implementation.name,
        "implementation_version": "%d.%d.%d" % implementation[:3],
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    },
}))
"""
_OLDEST = {"aarch64": 17, "armv7": 17, "riscv64": 31}  # glibc 2.x of the first wheels for it


class Guest(msgspec.Struct, frozen=True):
    """An emulated machine.

    Attributes:
        hwcap: Its ``AT_HWCAP``.
        hwcap2: Its ``AT_HWCAP2``.
        glibc: Version of its C library.
        markers: The environment that conditions of Python requirements are evaluated in.
    """

    hwcap: int
    hwcap2: int
    glibc: str
    markers: dict[str, str]

    def interpreter(self, arch: str) -> Interpreter:
        """Returns its Python as pip has to know it to choose wheels."""
        family = EMULATED[arch].wheel
        newest = int(self.glibc.split(".")[1])
        tags = [f"manylinux_2_{minor}_{family}" for minor in range(newest, _OLDEST[arch] - 1, -1)]
        old = [f"manylinux2014_{family}"] if _OLDEST[arch] == 17 else []  # noqa: PLR2004 (PEP 599)
        return Interpreter(
            self.markers["python_version"], (*tags, *old, f"linux_{family}"), self.markers
        )


def ask_guest(start: Sequence[str], sysroot: Sysroot) -> Guest:
    """Returns what the Python of ``sysroot`` says of the machine that it finds itself on.

    Args:
        start: The emulator and its options.
        sysroot: The root.

    Raises:
        DeviceError: It does not run.
    """
    python = sysroot.python_program
    env = {"PYTHONHOME": os.fspath(python.parents[1]), "LANG": "C.UTF-8"}
    where = f"emulated {sysroot.arch}"
    process = run_process(
        [*start, "-L", sysroot.root, os.fspath(python), "-c", _ASK],
        cwd=python.parent,
        env=env,
        timeout_s=120,
        where=where,
    )
    try:
        return decode_json(process.stdout, Guest, where=where)
    except InputError as error:
        hint = process.stderr.strip()[-500:] or None
        what = f"its Python does not run (exit status {process.returncode})"
        raise DeviceError(what, where=where, hint=hint) from error


def lay_view(folder: Path, sysroot: Sysroot, mcpu: str, guest: Guest) -> None:
    """Lays the root that programs see: that of ``sysroot``, and the emulated core's own facts.

    What is in neither place (``/tmp``, most of ``/proc`` and ``/sys``) is this machine's.
    """
    for part in os.scandir(sysroot.root):
        (folder / part.name).symlink_to(part.path)
    cores = usable_cores()
    names = features(sysroot.arch, guest.hwcap, guest.hwcap2)
    _write(folder / "proc" / "cpuinfo", cpuinfo_text(sysroot.arch, mcpu, names, cores))
    cpus = folder / "sys" / "devices" / "system" / "cpu"
    for name in ("online", "present", "possible"):
        _write(cpus / name, f"0-{cores - 1}\n" if cores > 1 else "0\n")
    for core in range(cores):
        register = cpus / f"cpu{core}" / "regs" / "identification" / "midr_el1"
        _write(register, f"{midr(mcpu):#018x}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
