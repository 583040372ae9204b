"""The user's own devices: a name for each, in ``devices.toml`` in the user's configuration folder.

::

    [devices."kitchen pi"]
    device = "ssh://pi@raspberrypi.local"
    target = "rpi4"
    notes = "on the shelf"
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import tomli_w

from edgeopt.boundary import convert, decode_toml, read_file
from edgeopt.errors import DeviceError
from edgeopt.files import config_folder, is_shut, locked, write_file
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Known", "add_device", "known_devices", "registry_file", "remove_device"]

_MAX_BYTES = 1 << 20
_TAKEN = ("local", "host", "emulated", "this-process")
_HEAD = "# The devices that `edgeopt devices` knows. It may be edited by hand.\n"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device that the user gave a name.

    Attributes:
        device: What it is: ``ssh://pi@raspberrypi.local``, ``emulated:armv7``.
        target: The target that it is; empty where none is said.
        notes: What a person should know.
    """

    device: str
    target: str = ""
    notes: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    devices: dict[str, Known] = {}


def registry_file() -> Path:
    """Returns where the user's devices are written; it need not exist."""
    return config_folder() / "devices.toml"


def known_devices() -> dict[str, Known]:
    """Returns the user's devices by their names.

    Raises:
        DeviceError: The file cannot be read.
    """
    path = registry_file()
    if is_shut(path):  # a container without a home: nobody wrote anything there
        return {}
    try:
        if not path.exists():
            return {}
    except OSError as error:
        raise DeviceError(f"cannot be read: {error.strerror}", where=str(path)) from error
    where = str(path)
    content = read_file(path, most=_MAX_BYTES, error=DeviceError, hint="mend it")
    tables = decode_toml(content, where=where, error=DeviceError, hint="mend it")
    return convert(tables, _File, where=where, error=DeviceError, hint="mend it").devices


def add_device(name: str, known: Known, *, replace: bool = False) -> None:
    """Writes a device into the user's file.

    Raises:
        DeviceError: The name cannot be one or is taken, or the file cannot be written.
        InputError: There is no folder for the file, and none can be made.
    """
    _check_name(name)
    with _changing() as devices:
        if name in devices and not replace:
            hint = f"`edgeopt devices remove {name!r}`, or choose another name"
            raise DeviceError(
                f'"{name}" is {devices[name].device} already', where="devices", hint=hint
            )
        devices[name] = known


def remove_device(name: str) -> Known:
    """Removes a device from the user's file; returns what it was.

    Raises:
        DeviceError: There is none of that name, or the file cannot be written.
    """
    with _changing() as devices:
        if name not in devices:
            hint = did_you_mean(name, list(devices)) or "`edgeopt devices list` names all"
            raise DeviceError(f'there is no device "{name}"', where="devices", hint=hint)
        return devices.pop(name)


def _check_name(name: str) -> None:
    wrong = name != name.strip() or not name or not name.isprintable() or name.startswith("-")
    if wrong or name in _TAKEN or any(mark in name for mark in (",", ":", "/")):
        hint = f"no comma, colon or slash, and not {', '.join(_TAKEN)}"
        raise DeviceError(f"{name!r} cannot be a device's name", where="devices", hint=hint)


@contextmanager
def _changing() -> Iterator[dict[str, Known]]:
    """Yields all devices, and writes them as they are afterwards; one process at a time."""
    path = registry_file()
    with locked(path.with_name(f".{path.name}.lock")):
        devices = known_devices()
        yield devices
        _write(path, devices)


def _write(path: Path, devices: dict[str, Known]) -> None:
    """Writes the file, whole or not at all."""
    rows = {name: _row(entry) for name, entry in sorted(devices.items())}
    text = _HEAD + tomli_w.dumps({"devices": rows})
    try:
        write_file(path, text.encode())
    except OSError as error:
        raise DeviceError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _row(known: Known) -> dict[str, str]:
    """Returns the fields that say something."""
    return {name: text for name, text in msgspec.structs.asdict(known).items() if text}
