"""A device that QEMU emulates on this machine, without root: its numbers count, its times do not."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.devices.guest import Guest, ask_guest, lay_view
from edgeopt.devices.on_host import OnHost
from edgeopt.devices.probe import facts_of, probe
from edgeopt.devices.qemu import EMULATED, check_program, emulator
from edgeopt.devices.sysroot import Sysroot, adopt_sysroot, cached_sysroot
from edgeopt.devices.wheels import install_wheels
from edgeopt.errors import DeviceError
from edgeopt.progress import progress_listener, progress_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePosixPath

__all__ = ["EmulatedDevice"]

_PATH = ("usr/local/bin", "usr/bin", "bin", "usr/sbin", "sbin")
_THIS_MACHINES = (
    "governor",
    "clock_mhz",
    "temperature_c",
    "throttled",
    "load_average",
    "memory_mb",
)


class EmulatedDevice(OnHost):
    """A Linux of another architecture: programs run under QEMU's user mode, files are shared.

    The first use makes a root folder from Debian packages in the cache; later ones find it there.
    Who listens to progress where the device is made, is told of that too.
    A program there cannot start another one (it may fork): this machine's kernel does not know how.

    Args:
        arch: ``aarch64``, ``armv7`` or ``riscv64``.
        mcpu: The core, as ``qemu-aarch64 -cpu help`` lists them; a usual one where empty.
        workdir: The folder it may use, kept afterwards; a temporary one where None.
        sysroot: A root folder with Python to use in place of the cached one.

    Raises:
        DeviceError: QEMU is not installed, or does not know the architecture or the core.
    """

    emulated = True

    def __init__(
        self,
        arch: str = "aarch64",
        mcpu: str = "",
        *,
        workdir: Path | None = None,
        sysroot: Path | None = None,
    ) -> None:
        core = mcpu or (EMULATED[arch].mcpu if arch in EMULATED else "")
        self._program, self._version = emulator(arch, core)
        self.arch, self.mcpu = arch, core
        self._given, self._listener = sysroot, progress_listener()
        super().__init__(f"emulated:{arch}:{core}", workdir)

    def install(self, requirements: Sequence[str], into: PurePosixPath) -> None:
        """Installs ``requirements`` and what they need into folder ``into``.

        This machine's pip fetches the wheels that fit the emulated one.

        Raises:
            DeviceError: A requirement has no wheel for the device; it is named.
        """
        python = self._guest.interpreter(self.arch)
        install_wheels(requirements, self.path(into), where=self.name, python=python)

    def facts(self) -> dict[str, Any]:
        """Returns what is known of the emulated machine; None for what only a real one has."""
        machine_facts = facts_of(self, probe(self))
        emulated = {"cpu": self.mcpu, "arch": self.arch, "emulator": self._version}
        return {**machine_facts, **dict.fromkeys(_THIS_MACHINES), **emulated}

    @cached_property
    def sysroot(self) -> Sysroot:
        """Its root folder, made now where the cache has none.

        Raises:
            DeviceError: The packages that it is made of cannot be had.
        """
        if self._given is not None:
            return adopt_sysroot(self.arch, self._given)
        with progress_to(self._listener):
            return cached_sysroot(self.arch)

    def _argv(self, command: Sequence[str], folder: Path) -> list[str]:
        program, *rest = command
        path = self._find(program, folder)
        return [*self._start, "-L", os.fspath(self._view), os.fspath(path), *rest]

    def _find(self, program: str, folder: Path) -> Path:
        if program == "python3":
            return self.sysroot.python_program
        if "/" in program:
            path = folder / program
            check_program(path, self.arch, self.name)
            return path
        for place in _PATH:
            path = Path(self.sysroot.root, place, program)
            if path.is_file():
                check_program(path, self.arch, self.name)
                return path
        what = f"`{program}` could not be started: the emulated device has no such program"
        raise DeviceError(what, where=self.name)

    def _environment(self) -> Mapping[str, str]:
        home = os.fspath(self.workdir())
        path = ":".join(f"/{place}" for place in _PATH)
        return {"HOME": home, "LANG": "C.UTF-8", "PATH": path, "PYTHONNOUSERSITE": "1"}

    def _fixed_environment(self) -> Mapping[str, str]:
        return {"PYTHONHOME": os.fspath(Path(self.sysroot.root) / "usr")}

    @property
    def _start(self) -> list[str]:
        return [os.fspath(self._program), "-cpu", self.mcpu]

    @cached_property
    def _guest(self) -> Guest:
        return ask_guest(self._start, self.sysroot)

    @cached_property
    def _view(self) -> Path:
        folder = self._folder("root")
        lay_view(folder, self.sysroot, self.mcpu, self._guest)
        return folder
