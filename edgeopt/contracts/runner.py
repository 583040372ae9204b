"""Something that answers as the float model does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Runner"]


@runtime_checkable
class Runner(Protocol):
    """A loaded program or artefact. Quantization and layout of inputs and outputs are its business."""

    def __call__(self, *inputs: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...]:
        """Returns the outputs in the float model's shapes and dtypes; a tuple when several.

        Args:
            *inputs: One array for each of ``signature.inputs``, in its shape and dtype.

        Raises:
            InputError: The number, a shape or a dtype does not fit the signature.
        """
        ...

    def close(self) -> None:
        """Releases the runtime. A second call does nothing."""
        ...

    def facts(self) -> dict[str, Any]:
        """Returns what is worth knowing about the runtime: its name, version, threads."""
        ...
