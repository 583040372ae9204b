"""Runs an artefact on this machine, with the code that runs on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeopt.bundles.local_runner import LocalRunner, unpacked
from edgeopt.errors import DeviceError, PluginError

if TYPE_CHECKING:
    from edgeopt.contracts import Artifact

__all__ = ["load_artifact"]


def load_artifact(artifact: Artifact, threads: int) -> LocalRunner:
    """Returns a runner of ``artifact``.

    Raises:
        PluginError: No TFLite runtime is installed.
        DeviceError: The runtime here cannot load the file.
    """
    from edgeopt_tflite.device.runtime import Model  # noqa: PLC0415 (imports numpy)

    with unpacked(artifact) as path:
        try:
            model = Model(path, artifact.metadata, threads)
        except ImportError as error:
            raise PluginError(
                "no TFLite runtime is installed", hint="pip install ai-edge-litert"
            ) from error
        except (RuntimeError, ValueError) as error:
            raise DeviceError(
                f"the TFLite runtime here cannot load it: {error}",
                where=f"artefact for {artifact.target}",
            ) from error
    return LocalRunner(artifact, model)
