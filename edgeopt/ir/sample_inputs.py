"""Reads the example inputs that torch.save wrote, without its unpickler: tensors, numbers, containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import torch

from edgeopt.boundary import stored_members
from edgeopt.boundary.pickles import PickleError, decode_pickle
from edgeopt.errors import InputError
from edgeopt.ir.storages import storage
from edgeopt.ir.torch_pickles import Storage, dtype_of, tensor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_sample_inputs"]

_MAX_STEPS = 100_000
_MAX_PLACES = 100_000
_CPU = 3


def read_sample_inputs(content: bytes | memoryview, *, where: str) -> Any:
    """Returns ``(args, kwargs)`` of tensors and numbers.

    Args:
        content: The zip that ``torch.save`` wrote.
        where: The file, for the error.

    Raises:
        EdgeoptError: It holds more than tensors, numbers and containers, or is damaged.
    """
    members = {
        name.partition("/")[2]: data for name, data in stored_members(content, where=where).items()
    }
    try:
        return _checked(_decoded(members))
    except (ValueError, KeyError, RecursionError) as error:
        what = f"its example inputs hold more than tensors: {error}"
        hint = "export the model with tensors, numbers, tuples, lists and dicts of them as inputs"
        raise InputError(what[:400], where=where, hint=hint) from error


def _decoded(members: Mapping[str, memoryview]) -> Any:
    if bytes(members.get("byteorder", b"little")) != b"little":
        raise PickleError("of a machine of another byte order")

    def persistent(identity: Any) -> Storage:
        key, dtype = dtype_of(identity)
        if identity[_CPU] != "cpu":
            raise PickleError("a tensor that is not on the CPU")
        return Storage(storage(members[f"data/{key}"]), dtype)

    def call(name: str, arguments: tuple[Any, ...]) -> Any:
        return tensor_of(name, arguments, _refuse)

    code = bytes(members["data.pkl"])
    return decode_pickle(code, call=call, persistent=persistent, most=_MAX_STEPS)


def _refuse(name: str, _: Any) -> NoReturn:
    raise PickleError(f"a call of {name}"[:100])


def _checked(value: Any) -> Any:
    shape_fits = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 (args, kwargs)
    if not shape_fits or not isinstance(value[0], tuple) or not isinstance(value[1], dict):
        raise PickleError("other than arguments and keyword arguments")
    todo, count = [value], 0
    while todo:
        part, count = todo.pop(), count + 1
        if count > _MAX_PLACES:
            raise PickleError("too many of them")
        if isinstance(part, dict):
            todo += [_entry(key, one) for key, one in part.items()]
        elif isinstance(part, (tuple, list)):
            todo += part
        elif not isinstance(part, (torch.Tensor, int, float, str, type(None))):
            raise PickleError(f"a {type(part).__name__}")
    return value


def _entry(key: Any, value: Any) -> Any:
    """Keys come back in code that torch makes of an example's structure."""
    is_name = isinstance(key, str) and key.isidentifier() and key.isascii()
    if is_name or (isinstance(key, int) and not isinstance(key, bool)):
        return value
    raise PickleError(f"an entry called {key!r}"[:100])
