"""Runs an artefact on this machine, with the code that runs it on the device."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.errors import DeviceError, InputError
from edgeopt.ir.inputs import check_arrays
from edgeopt_tvm.machine import here

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.contracts import Artifact
    from edgeopt_tvm.device.runtime import Model

__all__ = ["LocalRunner", "load_artifact"]


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
    with tempfile.TemporaryDirectory(prefix="edgeopt-") as folder:
        path = Path(folder) / artifact.entry
        path.write_bytes(artifact.files[artifact.entry])
        try:
            model = Model(str(path), artifact.metadata, threads)
        except (OSError, RuntimeError) as error:
            raise DeviceError(f"it cannot be loaded here: {error}", where=where) from error
    return LocalRunner(artifact, model)


class LocalRunner:
    """A loaded artefact.

    Args:
        artifact: Where it comes from.
        model: The loaded model.
    """

    def __init__(self, artifact: Artifact, model: Model) -> None:
        self._artifact = artifact
        self._model: Model | None = model

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Returns the outputs in the float model's shapes and dtypes.

        Raises:
            InputError: An input does not fit, or the runner is closed.
        """
        if self._model is None:
            raise InputError("the runner is closed")
        check_arrays(self._artifact.signature, inputs)
        results = tuple(self._model(*inputs))
        return results if len(results) > 1 else results[0]

    def close(self) -> None:
        """Releases the runtime."""
        if self._model is not None:
            self._model.close()
        self._model = None

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name, version, threads and memory."""
        return dict(self._model.facts()) if self._model is not None else {}
