"""Arrays on their way to a device and back: held against the signature, read without trust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeopt.boundary import read_arrays
from edgeopt.errors import DeviceError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgeopt.contracts import TensorSpec

__all__ = ["by_sample", "check_outputs", "check_sample", "read_outputs"]


def check_sample(sample: Sequence[np.ndarray], specs: Sequence[TensorSpec], where: str) -> None:
    """Raises InputError where a sample is not what the inputs are."""
    actual = [(np.shape(array), str(np.asarray(array).dtype)) for array in sample]
    want = [(tuple(spec.shape), spec.dtype) for spec in specs]
    if actual != want:
        raise InputError(f"{actual}, expected {want}", where=where)


def read_outputs(
    path: Path, specs: Sequence[TensorSpec], columns: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Returns one array for each output; a device is not trusted either."""
    want = [((len(columns[0]), *spec.shape), spec.dtype) for spec in specs]
    room = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize + 4096 for shape, dtype in want)
    try:
        if path.stat().st_size > room + 4096:
            raise DeviceError(
                f"{path.stat().st_size} bytes, at most {room} expected", where="outputs"
            )
    except OSError as error:
        raise DeviceError(f"the outputs cannot be read: {error}", where="outputs") from error
    arrays = read_arrays(path, error=DeviceError, most=room + 4096)
    lacking = [spec.name for spec in specs if spec.name not in arrays]
    if lacking:
        raise DeviceError(f"no output {lacking[0]!r} among them", where="outputs")
    return [arrays[spec.name] for spec in specs]


def by_sample(outputs: Sequence[np.ndarray], count: int) -> list[tuple[np.ndarray, ...]]:
    """Returns the outputs of each of ``count`` samples."""
    if any(output.shape[:1] != (count,) for output in outputs):
        shapes = [output.shape for output in outputs]
        raise DeviceError(f"outputs of shape {shapes} for {count} samples", where="outputs")
    return [tuple(output[place] for output in outputs) for place in range(count)]


def check_outputs(outputs: Sequence[np.ndarray], specs: Sequence[TensorSpec], where: str) -> None:
    """Raises DeviceError where outputs are not what the signature says."""
    want = [(tuple(spec.shape), spec.dtype) for spec in specs]
    actual = [(output.shape, str(output.dtype)) for output in outputs]
    if actual != want:
        raise DeviceError(f"{actual}, expected {want}", where=where)
