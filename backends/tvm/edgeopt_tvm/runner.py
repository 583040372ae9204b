"""Runs an artefact on this machine, with the code that runs it on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.bundles.local_runner import LocalRunner, unpacked
from edgeopt.errors import DeviceError
from edgeopt_tvm.machine import here

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact

__all__ = ["load_artifact"]


def load_artifact(artifact: Artifact, threads: int) -> LocalRunner:
    """Returns a runner of ``artifact``.

    Raises:
        DeviceError: It is for another kind of machine.
    """
    from edgeopt_tvm.device.runtime import Model  # noqa: PLC0415 (imports numpy)

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
    with unpacked(artifact) as path:
        try:
            model = Model(path, artifact.metadata, threads)
        except (OSError, RuntimeError) as error:
            raise DeviceError(f"it cannot be loaded here: {error}", where=where) from error
    return LocalRunner(artifact, model)
