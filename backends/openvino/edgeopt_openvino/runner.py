"""Runs an artefact on this machine, with the code that runs on the device."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.errors import DeviceError, InputError, PluginError
from edgeopt.ir.inputs import check_arrays

if TYPE_CHECKING:
    import numpy as np

    from edgeopt.contracts import Artifact
    from edgeopt_openvino.device.runtime import Model

__all__ = ["LocalRunner", "load_artifact"]


def load_artifact(artifact: Artifact, threads: int) -> LocalRunner:
    """Returns a runner of ``artifact``.

    Raises:
        PluginError: OpenVINO is not installed.
        DeviceError: The runtime here cannot load the model.
    """
    from edgeopt_openvino.device.runtime import Model  # noqa: PLC0415 (imports numpy)

    with tempfile.TemporaryDirectory() as folder:
        for name, content in artifact.files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            model = Model(str(Path(folder) / artifact.entry), artifact.metadata, threads)
        except ImportError as error:
            raise PluginError(
                "OpenVINO is not installed", hint="pip install 'edgeopt[openvino]'"
            ) from error
        except RuntimeError as error:
            raise DeviceError(
                f"OpenVINO here cannot load it: {error}", where=f"artefact for {artifact.target}"
            ) from error
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
        self._model = None

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name, version and threads."""
        return dict(self._model.facts()) if self._model is not None else {}
