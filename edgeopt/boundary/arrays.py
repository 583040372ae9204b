"""Reads arrays from outside: .npy and .npz, without pickle and without believing what they claim."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

from edgeopt.boundary.files import read_file
from edgeopt.errors import EdgeoptError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

__all__ = ["decode_npy", "decode_npz", "read_arrays"]

MAX_FILE = 32 << 30
MAX_HEADER = 4096
_KINDS = "biufc"
_FREE, _RATIO = 256 << 20, 20
"""How far a compressed file may grow: this many bytes, or so many times its own size."""
_MAX_ARRAYS = 10_000


def read_arrays(
    path: Path | str, *, error: type[EdgeoptError] = InputError, most: int = MAX_FILE
) -> dict[str, np.ndarray]:
    """Returns the arrays of a ``.npy`` (under the name ``""``) or ``.npz`` file.

    Args:
        path: The file; what it is, is seen by its content.
        error: What to raise.
        most: The largest size in bytes, of the file and of what it unpacks to.

    Raises:
        EdgeoptError: It is neither, holds objects, is damaged, or too large.
    """
    content = read_file(path, most=most, error=error)
    where = str(path)
    if bytes(content[:2]) == b"PK":
        return decode_npz(content, where=where, error=error, most=most)
    return {"": decode_npy(content, where=where, error=error)}


def decode_npy(
    content: bytes | bytearray | memoryview, *, where: str, error: type[EdgeoptError] = InputError
) -> np.ndarray:
    """Returns the array in ``content``, which must be exactly as long as its header says.

    Args:
        content: A ``.npy`` file.
        where: The file, for the error.
        error: What to raise.

    Raises:
        EdgeoptError: It is not such a file, has a giant header, holds objects, or is cut.
    """
    import numpy as np  # noqa: PLC0415 (heavy)

    head = io.BytesIO(bytes(content[: MAX_HEADER + 16]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = _header(head)
    except (
        Exception
    ) as refused:  # numpy's parser raises many kinds: tokenize, syntax, value, memory
        raise error(f"not a .npy file: {refused}"[:500], where=where) from refused
    body = len(content) - head.tell()
    if dtype.kind not in _KINDS or math.prod(shape) * dtype.itemsize != body:
        raise error(f"{body} bytes cannot be {dtype}{list(shape)}"[:500], where=where)
    flat = np.frombuffer(content, dtype, offset=head.tell())
    try:
        return flat.reshape(shape, order="F" if fortran else "C")
    except ValueError as refused:  # nothing along one axis, and more than can be along another
        raise error(f"no array is {list(shape)}: {refused}"[:500], where=where) from refused


def _header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, Any]:
    import numpy as np  # noqa: PLC0415 (heavy)

    version = np.lib.format.read_magic(stream)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(stream.getvalue()[8 : 8 + width], "little")
    if length > MAX_HEADER:
        raise ValueError(f"a header of more than {MAX_HEADER} bytes")
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]}")
    shape, fortran, dtype = readers[version](stream, max_header_size=MAX_HEADER)
    if any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"shape {shape}")
    return shape, fortran, dtype


def decode_npz(
    content: bytes | bytearray,
    *,
    where: str,
    error: type[EdgeoptError] = InputError,
    most: int = MAX_FILE,
) -> dict[str, np.ndarray]:
    """Returns the arrays of a ``.npz`` file, compressed or not.

    Args:
        content: The file.
        where: Its name, for the error.
        error: What to raise.
        most: The largest size in bytes that it may unpack to.

    Raises:
        EdgeoptError: It is not such a file, holds something else, or would grow too large.
    """
    try:
        members = _unpacked(content, min(most, max(_FREE, _RATIO * len(content))))
    except Exception as refused:  # zipfile and its decompressors raise a dozen kinds
        raise error(f"not a .npz file: {refused}"[:500], where=where) from refused
    return {
        name.removesuffix(".npy"): decode_npy(member, where=f"{where}, {name!r}", error=error)
        for name, member in members.items()
    }


def _unpacked(content: bytes | bytearray, room: int) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if len(archive.infolist()) > _MAX_ARRAYS:
            raise ValueError("too many arrays")
        for member in archive.infolist():
            if member.file_size > room or member.filename in members:
                raise ValueError(f"{member.filename!r} is too large, or there twice")
            with archive.open(member) as stream:
                members[member.filename] = stream.read(member.file_size + 1)
            room -= len(members[member.filename])
    return members
