"""Says whether an artefact runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.errors import DeviceError
from edgeopt_tvm.machine import here

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact

__all__ = ["require_loadable"]


def require_loadable(artifact: Artifact) -> None:
    """Checks that ``artifact`` is a library for this machine.

    Raises:
        DeviceError: It is for another kind of machine, or a program of its own.
    """
    where = f"artefact for {artifact.target}"
    made_for = artifact.metadata.get("arch", here().arch)
    if made_for != here().arch:
        raise DeviceError(
            f"it is code for {made_for}, and this machine is {here().arch}",
            where=where,
            hint=f'device="emulated:{made_for}" or a real device runs it',
        )
    if not artifact.entry.endswith(".so"):
        raise DeviceError(
            f"it is a program, {artifact.entry}, and no library to load",
            where=where,
            hint="copy it to the device, and run it there",
        )
