"""Finds the device that a user names: ``local``, ``emulated:armv7``, ``ssh://pi@host``, ``pi4``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import Device
from edgeopt.errors import DeviceError
from edgeopt.progress import progress_to
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from edgeopt.progress import Progress

__all__ = ["find_device"]

_KNOWN = {
    "local": "this machine",
    "emulated": "an aarch64 Linux that QEMU emulates",
    "emulated:ARCH": "another architecture",
    "emulated:ARCH:CORE": "a core that QEMU knows",
    "ssh://USER@HOST:PORT": "a device behind SSH",
    "adb:SERIAL": "an Android device",
    "serial:PORT": "a microcontroller on a serial port",
}
_OWN = "`edgeopt devices add` gives one a name"


def find_device(spec: str | Device, *, progress: Progress | None = None) -> Device:
    """Returns the device that ``spec`` names; a `Device` is returned as it is.

    Args:
        spec: ``local``, ``emulated``, ``emulated:aarch64``, ``emulated:aarch64:cortex-a53``,
            ``ssh://user@host``, ``adb:SERIAL``, ``serial:/dev/ttyACM0``, a name that the user gave one, or a device.
        progress: Told how far a device is that has to be made first.

    Raises:
        DeviceError: There is no such device, or this machine lacks what it needs.
    """
    if not isinstance(spec, str):
        if isinstance(spec, Device):
            return spec
        raise DeviceError(f"{spec!r} is no device", where="device", hint=_choices())
    with progress_to(progress):
        return _find(spec.strip(), "") or _find_own(spec.strip())


def _find(spec: str, name: str) -> Device | None:
    """Returns the device, or None where ``spec`` names no kind of device."""
    kind, colon, rest = spec.partition(":")
    if kind in {"local", "host"} and not colon:
        from edgeopt.devices.local import LocalDevice  # noqa: PLC0415 (only this one)

        return LocalDevice()
    if kind == "emulated":
        from edgeopt.devices.emulated import EmulatedDevice  # noqa: PLC0415 (only this one)

        arch, _, core = rest.partition(":")
        return EmulatedDevice(arch or "aarch64", core)
    if kind == "ssh" and colon:
        from edgeopt.devices.ssh import SshDevice  # noqa: PLC0415 (only this one)

        return SshDevice(spec, name=name)
    if kind == "adb":
        from edgeopt.devices.adb import AdbDevice  # noqa: PLC0415 (only this one)

        return AdbDevice(rest.removeprefix("//"), name=name)
    if kind == "serial" and colon:
        from edgeopt.devices.board import SerialBoard  # noqa: PLC0415 (only this one)

        return SerialBoard(spec, name=name)
    return None


def _find_own(name: str) -> Device:
    from edgeopt.devices.registry import known_devices, registry_file  # noqa: PLC0415 (only here)

    entries = known_devices()
    if name in entries:
        device = _find(entries[name].device, name)
        if device is not None:
            return device
        what = f'"{name}" is {entries[name].device!r}, which is no device'
        raise DeviceError(what, where=str(registry_file()), hint=_choices())
    near = did_you_mean(name, ("local", "emulated", *entries))
    raise DeviceError(f'there is no device "{name}"', where="device", hint=near or _choices())


def _choices() -> str:
    kinds = "; ".join(f"{name}: {what}" for name, what in _KNOWN.items())
    return f"{kinds}; {_OWN}"
