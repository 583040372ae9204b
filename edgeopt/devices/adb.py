"""An Android device, through the system's own ``adb``.

Programs run as the user ``shell`` of the device, below ``/data/local/tmp``. There is no Python, as a
rule: a bundle runs there by its native program.
"""

from __future__ import annotations

import os
import re

from edgeopt.devices.remote import RemoteDevice
from edgeopt.devices.shell import chosen_program, quote
from edgeopt.errors import DeviceError

__all__ = ["AdbDevice"]

_WORK = "/data/local/tmp/edgeopt"
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_REASONS = (
    (
        "unauthorized",
        "it does not trust this machine",
        "unlock it, and allow debugging when it asks",
    ),
    ("no devices", "no device is connected", "`adb devices` lists those that are"),
    ("not found", "it is not connected", "`adb devices` lists those that are"),
    (
        "more than one",
        "there are several devices",
        "name one: adb:SERIAL; `adb devices` lists them",
    ),
    ("offline", "it is offline", "unplug it and plug it in again, or `adb reconnect`"),
)


class AdbLink:
    """The way to an Android device."""

    def __init__(self, serial: str, name: str) -> None:
        self.name = name
        self._serial = serial

    def argv(self, line: str) -> list[str]:
        """Returns the command that hands ``line`` to the device's shell."""
        which = ["-s", self._serial] if self._serial else []
        return [*chosen_program("EDGEOPT_ADB", "adb"), *which, "shell", "-T", line]

    def lost(self, said: str) -> DeviceError:
        """Returns what to raise after ``adb`` failed with the words ``said``."""
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        last = lines[-1][:300] if lines else "adb said nothing"
        for words, what, hint in _REASONS:
            if words in said:
                return DeviceError(f"{what}: {last}", where=self.name, hint=hint)
        hint = "nothing half-written is left there; try again"
        return DeviceError(f"the connection was lost: {last}", where=self.name, hint=hint)

    def environment(self) -> dict[str, str]:
        """Returns the environment of ``adb``."""
        return dict(os.environ)


class AdbDevice(RemoteDevice):
    """An Android device behind ``adb``.

    The environment variable ``EDGEOPT_ADB`` replaces ``adb`` by another command.

    Args:
        serial: Its serial number, as ``adb devices`` says it; empty for the only one.
        name: How a person calls it; ``adb:SERIAL`` where empty.
        work: The folder to use there.

    Raises:
        DeviceError: ``serial`` is none.
    """

    def __init__(self, serial: str = "", *, name: str = "", work: str = _WORK) -> None:
        if serial and not _SERIAL.fullmatch(serial):
            hint = "`adb devices` lists them"
            raise DeviceError(f"{serial!r} is no serial number", where="device", hint=hint)
        called = name or (f"adb:{serial}" if serial else "adb")
        super().__init__(AdbLink(serial, called), quote(work))
