"""Whether a bundle can run on a device at all, asked before anything is copied there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError

if TYPE_CHECKING:
    from edgeopt.bundles import Bundle
    from edgeopt.contracts import Device, Target

__all__ = ["other_core", "refuse_other_cpu"]


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


def other_core(device: Device, target: Target) -> tuple[str, ...]:
    """Returns that ``device`` is emulated with another core than the target has; nothing where it is not.

    A generic target has no core of its own. A device that has no attribute ``mcpu`` is not asked.
    """
    core, wanted = getattr(device, "mcpu", ""), target.cpu.mcpu
    is_known = device.emulated and core and wanted and not wanted.startswith("generic")
    if not is_known or core == wanted or target.microcontroller is not None:
        return ()
    return (
        f"emulated as a {core}: {target.name} has a {wanted}, whose instructions a runtime may use otherwise",
    )
