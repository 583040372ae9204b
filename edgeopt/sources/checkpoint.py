"""Weights from files: safetensors, and what ``torch.save`` wrote, which is read without unpickling it."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeopt.boundary import read_file, read_tensors, stored_members
from edgeopt.boundary.pickles import Described, PickleError, decode_pickle
from edgeopt.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["module_state", "read_checkpoint", "read_state"]

MAX_FILE = 32 << 30
MAX_LAYERS, MAX_PATH = 100_000, 500
_MAGIC = 0x1950A86A20F9469CFC6C
"""What files of torch before 1.6 begin with: torch/serialization.py."""
_KEYS = (
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "state_dict_ema",
    "ema",
    "module",
)
"""Where training scripts put the weights, beside an optimizer's state and so on."""
_HINT = (
    "save the weights again: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
)


def read_state(path: Path | str) -> dict[str, torch.Tensor]:
    """Returns the weights by their names in a ``.safetensors``, ``.pt``, ``.pth`` or ``.bin`` file.

    Nothing in the file is run: a pickle's calls are read, not made (`read_checkpoint`). Of a pickled module the
    parameters and buffers are taken, of a training checkpoint its weights.

    Args:
        path: The file.

    Raises:
        InputError: There is none, it is damaged, or holds no weights.
    """
    if Path(path).suffix == ".safetensors":
        return read_tensors(path)
    return _weights_in(read_checkpoint(path), str(path))


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
    except (PickleError, KeyError, struct.error) as damage:
        what = f"no checkpoint of torch.save that can be read: {damage}"
        raise InputError(what[:400], where=str(path), hint=_HINT) from damage


def module_state(module: Described) -> dict[str, torch.Tensor]:
    """Returns the parameters and buffers of a module that was pickled whole, by their names.

    Args:
        module: The description of it.

    Raises:
        InputError: It is no module of torch.
    """
    state: dict[str, torch.Tensor] = {}
    todo: list[tuple[str, Any]] = [("", module)]
    count = 0
    while todo:
        prefix, one = todo.pop()
        count += 1
        inside = one.state if isinstance(one, Described) else None
        fits = len(prefix) <= MAX_PATH and count <= MAX_LAYERS  # a module may hold itself
        if not isinstance(inside, dict) or "_modules" not in inside or not fits:
            what = "an object that is no torch.nn.Module"
            raise InputError(what, where=prefix[:80] or "checkpoint", hint=_HINT)
        layers = inside["_modules"].items()
        todo += [(f"{prefix}{name}.", part) for name, part in layers if part is not None]
        state |= {f"{prefix}{name}": tensor for name, tensor in _own_tensors(inside)}
    return state


def _own_tensors(inside: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    passing = inside.get("_non_persistent_buffers_set") or ()
    for part in ("_parameters", "_buffers"):
        for name, tensor in (inside.get(part) or {}).items():
            if tensor is not None and name not in passing:
                yield name, tensor


def _weights_in(content: Any, where: str) -> dict[str, torch.Tensor]:
    import torch  # noqa: PLC0415 (heavy)

    if isinstance(content, Described):
        return module_state(content)
    if isinstance(content, dict):
        tensors = {n: t for n, t in content.items() if isinstance(t, torch.Tensor)}
        if tensors and all(isinstance(name, str) for name in tensors):
            return tensors
        for key in _KEYS:
            if content.get(key) is not None:
                return _weights_in(content[key], where)
    raise InputError(f"it holds no weights but a {type(content).__name__}", where=where, hint=_HINT)


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
    if decode_pickle(stream).get("little_endian") is not True:
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


def _fill(kept: Any, stream: io.BytesIO) -> None:
    import torch  # noqa: PLC0415 (heavy)

    (count,) = struct.unpack("<q", stream.read(8))
    raw = stream.read(max(0, math.prod((count, kept.dtype.itemsize))))
    if len(raw) != kept.whole.numel():
        raise PickleError("a storage of another size than was said")
    if raw:
        kept.whole.copy_(torch.frombuffer(bytearray(raw), dtype=torch.uint8))
