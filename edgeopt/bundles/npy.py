"""Reads .npy without pickle and without believing what a header claims; writes .npy and .npz."""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from edgeopt.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_npy", "write_npy", "write_npz"]

_MAX_HEADER = 4096
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
        BundleError: It is not such a file, has a giant header, or another length.
    """
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise BundleError("a .npy file of another version than 1.0", where=where)
        if int.from_bytes(content[8:10], "little") > _MAX_HEADER:
            raise BundleError(f"a .npy header of more than {_MAX_HEADER} bytes", where=where)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        body = len(content) - stream.tell()
        if fortran or dtype.kind not in _KINDS or math.prod(shape) * dtype.itemsize != body:
            raise BundleError(f"{body} bytes cannot be {dtype}{list(shape)}", where=where)
    except BundleError:
        raise
    except Exception as error:  # numpy's header parser raises many kinds: tokenize, syntax, value
        raise BundleError(f"not a .npy file: {error}", where=where) from error
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape).copy()
