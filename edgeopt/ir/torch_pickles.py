"""Tensors in what ``torch.save`` wrote: the calls of its pickles that make them, and where their bytes are.

Source: ``torch/_utils.py`` and ``torch/serialization.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from edgeopt.boundary.pickles import Named, PickleError
from edgeopt.ir.storages import DTYPES, strided

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Storage", "dtype_of", "tensor_of"]

_STORAGES = {
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}


class Storage(NamedTuple):
    """The bytes that tensors share, and what they are.

    Attributes:
        whole: uint8, shape ``[bytes]``.
        dtype: Of the elements.
    """

    whole: torch.Tensor
    dtype: torch.dtype


def dtype_of(identity: Any) -> tuple[str, torch.dtype]:
    """Returns key and dtype of a storage from its persistent identity.

    Raises:
        PickleError: It is another kind of identity.
    """
    kind, storage, key, *_ = identity
    if kind != "storage" or not isinstance(storage, Named) or storage.name not in _STORAGES:
        raise PickleError(f"a storage of another kind: {storage!r}"[:100])
    if not isinstance(key, str) or not key.isdecimal():
        raise PickleError("a tensor of no name")
    return key, DTYPES[_STORAGES[storage.name]]


def tensor_of(
    name: str, arguments: tuple[Any, ...], otherwise: Callable[[str, tuple[Any, ...]], Any]
) -> Any:
    """Returns what a call in a pickle makes: tensors and dicts; all else is ``otherwise``'s.

    Args:
        name: What is called.
        arguments: With which arguments; storages are `Storage`.
        otherwise: As this function without the last argument, for all other names.

    Raises:
        ValueError: A tensor reaches beyond its storage.
    """
    if name == "collections.OrderedDict" and arguments == ():
        return {}
    if name == "torch._utils._rebuild_tensor_v2":
        storage, offset, size, stride, *_ = arguments
        if not isinstance(storage, Storage):
            raise PickleError("a tensor of no storage")
        return strided(storage.whole, storage.dtype, size, stride, offset, spare=0)
    rebuilt = name in {
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
    }
    if rebuilt and isinstance(arguments[0], torch.Tensor):
        return arguments[0]
    return otherwise(name, arguments)
