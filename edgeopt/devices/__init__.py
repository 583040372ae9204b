"""Machines that bundles run on: this one, and ones that QEMU emulates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.devices.find import find_device

if TYPE_CHECKING:
    from edgeopt.devices.emulated import EmulatedDevice
    from edgeopt.devices.local import LocalDevice

__all__ = ["EmulatedDevice", "LocalDevice", "find_device"]

_LAZY = {"EmulatedDevice": "emulated", "LocalDevice": "local"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 (only on first use)

    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
