"""Whether a bundle can run on a device at all, asked before anything is copied there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device

__all__ = ["refuse_other_cpu"]


def refuse_other_cpu(bundle: Bundle, device: Device) -> None:
    """Raises where ``bundle`` is for another processor than that of ``device``.

    A device that has no attribute ``arch`` is not asked.

    Raises:
        DeviceError: It is; names both, and a way out.
    """
    arch, target = getattr(device, "arch", None), bundle.manifest.target
    if arch is None or arch == target.cpu.arch:
        return
    what = f"it is an {arch} machine; the bundle is for {target.name}, which is {target.cpu.arch}"
    hint = "deploy for a target of its own kind: `edgeopt targets` lists them"
    raise DeviceError(what, where=device.name, hint=hint)
