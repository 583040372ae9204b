"""What ``torch.save`` wrote, now and before torch 1.6, read without unpickling it.

Source: ``torch/serialization.py``.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import read_file, stored_members
from edgeopt.boundary.pickles import Described, PickleError, decode_pickle
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from edgeopt.ir.torch_pickles import Storage

__all__ = ["RESAVE", "read_checkpoint"]

MAX_FILE = 32 << 30
_MAGIC = 0x1950A86A20F9469CFC6C
"""What files of torch before 1.6 begin with."""
RESAVE = (
    "save the weights again: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
)
"""What helps where a checkpoint cannot be read."""


def read_checkpoint(path: Path | str) -> Any:
    """Returns what ``torch.save`` wrote: tensors, containers, and objects as `Described`, which are never built.

    Args:
        path: The file: a zip, or of torch before 1.6.

    Raises:
        InputError: There is none, or it is damaged.
    """
    content = read_file(path, most=MAX_FILE)
    try:
        if bytes(content[:2]) == b"PK":
            return _of_zip(content, str(path))
        return _of_stream(content)
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        struct.error,
    ) as damage:
        what = f"no checkpoint of torch.save that can be read: {damage}"
        raise InputError(what[:400], where=str(path), hint=RESAVE) from damage


def _of_zip(content: bytearray, where: str) -> Any:
    from edgeopt.ir.storages import storage  # noqa: PLC0415 (torch)
    from edgeopt.ir.torch_pickles import Storage, dtype_of, tensor_of  # noqa: PLC0415 (torch)

    members = {
        n.partition("/")[2]: data for n, data in stored_members(content, where=where).items()
    }
    if bytes(members.get("byteorder", b"little")) != b"little":
        raise PickleError("of a machine of another byte order")
    wholes: dict[str, torch.Tensor] = {}  # tensors that share a storage stay tied

    def persistent(identity: Any) -> Storage:
        key, dtype = dtype_of(identity)
        if key not in wholes:
            wholes[key] = storage(members[f"data/{key}"])
        return Storage(wholes[key], dtype)

    def call(name: str, arguments: tuple[Any, ...]) -> Any:
        return tensor_of(name, arguments, Described)

    return decode_pickle(bytes(members["data.pkl"]), call=call, persistent=persistent)


def _of_stream(content: bytearray) -> Any:
    """Reads the form of torch before 1.6: five pickles, then the storages one after the other."""
    import torch  # noqa: PLC0415 (heavy)

    from edgeopt.ir.torch_pickles import Storage, dtype_of, tensor_of  # noqa: PLC0415 (torch)

    stream = io.BytesIO(content)
    if decode_pickle(stream) != _MAGIC:
        raise PickleError("no file of torch.save")
    decode_pickle(stream)
    if decode_pickle(stream)["little_endian"] is not True:
        raise PickleError("of a machine of another byte order")
    wholes: dict[str, Storage] = {}
    room = [len(content)]

    def persistent(identity: Any) -> Any:
        if identity[0] == "module":  # a class, with its source beside it
            return identity[1]
        key, dtype = dtype_of(identity)
        if identity[5] is not None:
            raise PickleError("a storage that is a part of another")
        if key not in wholes:
            size = _size(identity[4], dtype.itemsize, room)
            wholes[key] = Storage(torch.zeros(size, dtype=torch.uint8), dtype)
        return wholes[key]

    def call(name: str, arguments: tuple[Any, ...]) -> Any:
        return tensor_of(name, arguments, Described)

    value = decode_pickle(stream, call=call, persistent=persistent)
    for key in decode_pickle(stream):
        _fill(wholes[key], stream)
    return value


def _size(count: Any, width: int, room: list[int]) -> int:
    """Returns a storage's bytes; all together are no more than the file has."""
    if type(count) is not int or not 0 <= count * width <= room[0]:
        raise PickleError("storages larger than the file")
    room[0] -= count * width
    return count * width


def _fill(kept: Storage, stream: io.BytesIO) -> None:
    """Reads the bytes of a storage; its length in elements is before them."""
    import torch  # noqa: PLC0415 (heavy)

    size = kept.whole.numel()
    (count,) = struct.unpack("<q", stream.read(8))
    raw = stream.read(size)
    if count * kept.dtype.itemsize != size or len(raw) != size:
        raise PickleError("a storage of another size than was said")
    if raw:
        kept.whole.copy_(torch.frombuffer(bytearray(raw), dtype=torch.uint8))
