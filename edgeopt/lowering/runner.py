"""Runs an artefact on this machine, with the code that runs it on the device."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from edgeopt.contracts.storage import Precision
from edgeopt.data.array_check import ArrayCheck
from edgeopt.errors import DeviceError, InputError, PluginError
from edgeopt.files import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np

    from edgeopt.contracts import Artifact

__all__ = ["DeviceModel", "LocalRunner", "load_artifact", "unpacked"]


class DeviceModel(Protocol):
    """What a backend's ``runtime.py`` defines as ``Model``; it may have ``close`` too."""

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Returns the outputs."""
        ...

    def facts(self) -> dict[str, Any]:
        """Returns the runtime's name and version."""
        ...


def load_artifact(
    artifact: Artifact,
    device_model: Callable[[], Callable[[str, dict[str, Any], int], DeviceModel]],
    threads: int,
    *,
    runtime: str,
    install: str,
) -> LocalRunner:
    """Returns a runner of ``artifact``.

    Args:
        artifact: What to load.
        device_model: Imports and returns ``Model`` of the device's runtime.
        threads: Threads to use; 0 leaves it to the runtime.
        runtime: What a person calls the runtime.
        install: What to type where it is missing.

    Raises:
        PluginError: The runtime is not installed.
        DeviceError: The runtime here cannot load the model.
    """
    with unpacked(artifact) as path:
        try:
            model = device_model()(path, artifact.metadata, threads)
        except ImportError as error:
            raise PluginError(f"{runtime} is not installed", hint=install) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise DeviceError(
                f"{runtime} here cannot load it: {error}", where=f"artefact for {artifact.target}"
            ) from error
    return LocalRunner(artifact, model)


@contextmanager
def unpacked(artifact: Artifact) -> Iterator[str]:
    """Yields the path of the artefact's entry, its other files beside it; gone afterwards."""
    with temporary_folder() as folder:
        for name, content in artifact.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield str(folder / artifact.entry)


class LocalRunner:
    """A loaded artefact.

    Args:
        artifact: Where it comes from.
        model: The loaded model.
    """

    def __init__(self, artifact: Artifact, model: DeviceModel) -> None:
        self._artifact = artifact
        self._model: DeviceModel | None = model
        finite = Precision(artifact.precision).has_integer_weights
        self._check = ArrayCheck(artifact.signature, finite=finite)
        self._shapes = [tuple(spec.shape) for spec in artifact.signature.outputs]

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Returns the outputs in the float model's shapes and dtypes.

        Raises:
            InputError: An input does not fit, holds NaN or an infinity that int8 cannot show, or
                the runner is closed.
            DeviceError: The runtime makes an output of another shape than the float model.
        """
        if self._model is None:
            raise InputError("the runner is closed")
        self._check.require(inputs)
        results = tuple(self._model(*inputs))
        if [result.shape for result in results] != self._shapes:
            self._check_shapes(results)
        return results if len(results) > 1 else results[0]

    def _check_shapes(self, results: Sequence[np.ndarray]) -> None:
        for spec, result in zip(self._artifact.signature.outputs, results, strict=True):
            if result.shape != tuple(spec.shape):
                raise DeviceError(
                    f"{spec.name} has shape {result.shape}, not {tuple(spec.shape)} as in the float model",
                    where=f"artefact of {self._artifact.backend}",
                    hint="this is a fault of the backend: deploy with another one, and report it",
                )

    def close(self) -> None:
        """Releases the runtime. A second call does nothing."""
        model, self._model = self._model, None
        if model is not None and hasattr(model, "close"):
            model.close()

    def facts(self) -> dict[str, Any]:
        """Returns what the runtime says of itself; nothing once the runner is closed."""
        return dict(self._model.facts()) if self._model is not None else {}
