"""Reads .npy without pickle and without believing what a header claims; writes .npy and .npz."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.boundary import decode_npy
from edgeopt.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_npy", "write_npy", "write_npz"]

_KINDS = "biufc"


def write_npy(array: np.ndarray) -> bytes:
    """Returns ``array`` as a .npy file, little-endian, in C order: the same array, the same bytes.

    Raises:
        InputError: The dtype is not boolean, integer, floating or complex.
    """
    if array.dtype.kind not in _KINDS:
        raise InputError(
            f"dtype {array.dtype} cannot be kept without pickle", where="golden samples"
        )
    stream = io.BytesIO()
    plain = np.array(array, array.dtype.newbyteorder("<"), order="C")
    np.lib.format.write_array(stream, plain, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def write_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns arrays as a .npz file. `numpy.savez` cannot: it takes some names as its options."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(f"{name}.npy", write_npy(array))
    return stream.getvalue()


def read_npy(content: bytes, where: str) -> np.ndarray:
    """Returns the array in ``content``, which must be exactly as long as its header says.

    Raises:
        BundleError: It is not such a file, has a giant header, another length, or another order
            than `write_npy` writes.
    """
    array = decode_npy(content, where=where, error=BundleError)
    if content[6:8] != b"\1\0" or (array.ndim > 1 and not array.flags.c_contiguous):
        raise BundleError("a .npy file of another version or order than is written", where=where)
    return array.copy()
