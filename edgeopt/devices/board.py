"""Microcontrollers: a board on a serial port of this machine, or one that QEMU emulates here.

A bundle's ``run.py`` runs on this machine; the backend's runtime talks to the board, which it finds by
the variable `VARIABLE`.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.devices.local import LocalDevice
from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgeopt.contracts import Target

__all__ = ["VARIABLE", "EmulatedBoard", "SerialBoard"]

VARIABLE = "EDGEOPT_BOARD"
_FACTS = (
    *("cpu", "isa", "cores", "memory_mb", "os", "glibc", "python"),
    *("governor", "clock_mhz", "temperature_c"),
)


class _Board(LocalDevice):
    """A board behind this machine.

    Args:
        name: How a person calls it.
        board: What the runtime is told.
        workdir: The folder here that it may use; a temporary one where None.
    """

    def __init__(self, name: str, board: str, workdir: Path | None = None) -> None:
        super().__init__(workdir)
        self.name, self._board = name, board

    def facts(self) -> dict[str, Any]:
        """Returns what is known without asking the board; this machine's facts are not its own."""
        return {**dict.fromkeys(_FACTS), "name": self.name, "emulated": self.emulated}

    def _fixed_environment(self) -> Mapping[str, str]:
        return {**super()._fixed_environment(), VARIABLE: self._board}


class EmulatedBoard(_Board):
    """A microcontroller that QEMU emulates: its numbers count, and its instructions; it has no times.

    Args:
        target: The microcontroller.
        workdir: The folder here that it may use; a temporary one where None.

    Raises:
        DeviceError: No emulator has its core.
    """

    emulated = True

    def __init__(self, target: Target, workdir: Path | None = None) -> None:
        micro = target.microcontroller
        if micro is None or not micro.emulator:
            hint = "a board of your own: `--device serial:/dev/ttyACM0`"
            raise DeviceError("no emulator has its core", where=target.name, hint=hint)
        super().__init__(f"emulated:{micro.emulator}", "emulated", workdir)
        self.arch = target.cpu.arch
        self._cpu = target.cpu.model

    def facts(self) -> dict[str, Any]:
        """Returns the core that is emulated."""
        return {**super().facts(), "cpu": self._cpu, "cores": 1}

    @contextmanager
    def hold(self, wait_s: float) -> Iterator[None]:  # noqa: ARG002 (a device's)
        """Keeps nobody off: instructions are counted, and no times."""
        yield


class SerialBoard(_Board):
    """A board on a serial port of this machine.

    Args:
        spec: ``serial:/dev/ttyACM0`` or ``serial:/dev/ttyUSB0?baud=921600``.
        name: What to call it; the address where empty.
        workdir: The folder here that it may use; a temporary one where None.

    Raises:
        DeviceError: There is no such port.
    """

    def __init__(self, spec: str, *, name: str = "", workdir: Path | None = None) -> None:
        port = spec.removeprefix("serial:").partition("?")[0]
        _check_port(port, spec)
        super().__init__(name or spec, spec, workdir)


def _check_port(port: str, spec: str) -> None:
    hint = "serial:/dev/ttyACM0?baud=115200; `ls /dev/ttyACM* /dev/ttyUSB*` lists ports"
    if not port:
        raise DeviceError("it names no port", where=spec, hint=hint)
    try:
        mode = Path(port).stat().st_mode
    except OSError as error:
        hint = "plug the board in; `ls /dev/ttyACM* /dev/ttyUSB*` lists ports"
        raise DeviceError(
            f"there is no port {port}: {error.strerror}", where=spec, hint=hint
        ) from error
    if not stat.S_ISCHR(mode):
        raise DeviceError(f"{port} is no serial port", where=spec, hint=hint)
    if not os.access(port, os.R_OK | os.W_OK):
        hint = "sudo usermod -aG dialout $USER, and log in again"
        raise DeviceError(f"{port} may not be opened", where=spec, hint=hint)
