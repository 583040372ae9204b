"""Finds the device that a user names: ``local``, ``emulated:aarch64:cortex-a53``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.contracts import Device
from edgeopt.errors import DeviceError
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from edgeopt.contracts import Progress

__all__ = ["find_device"]

_KNOWN = {
    "local": "this machine",
    "emulated": "an aarch64 Linux that QEMU emulates",
    "emulated:ARCH": "another architecture",
    "emulated:ARCH:CORE": "a core that QEMU knows",
    "ssh://USER@HOST:PORT": "a device behind SSH",
}
_LATER = {"adb": "an Android device behind ADB"}


def find_device(spec: str | Device, *, progress: Progress | None = None) -> Device:
    """Returns the device that ``spec`` names; a `Device` is returned as it is.

    Args:
        spec: ``local``, ``emulated``, ``emulated:aarch64``, ``emulated:aarch64:cortex-a53``, or a
            device.
        progress: Told how far a device is that has to be made first.

    Raises:
        DeviceError: There is no such device, or this machine lacks what it needs.
    """
    if not isinstance(spec, str):
        if isinstance(spec, Device):
            return spec
        raise DeviceError(f"{spec!r} is no device", where="device", hint=_choices())
    kind, colon, rest = spec.strip().partition(":")
    if kind in {"local", "host"} and not colon:
        from edgeopt.devices.local import LocalDevice  # noqa: PLC0415 (only this one)

        return LocalDevice()
    if kind == "emulated":
        from edgeopt.devices.emulated import EmulatedDevice  # noqa: PLC0415 (only this one)

        arch, _, core = rest.partition(":")
        return EmulatedDevice(arch or "aarch64", core, progress=progress)
    if kind == "ssh":
        from edgeopt.devices.ssh import SshDevice  # noqa: PLC0415 (only this one)

        return SshDevice(spec)
    if kind in _LATER:
        what = f"{_LATER[kind]} cannot be used yet in this version"
        raise DeviceError(what, where=spec, hint="copy the bundle there and run its run.py")
    near = did_you_mean(spec, ("local", "emulated"))
    raise DeviceError(f'there is no device "{spec}"', where="device", hint=near or _choices())


def _choices() -> str:
    return "; ".join(f"{name}: {what}" for name, what in _KNOWN.items())
