"""Reads the example inputs that torch.save wrote, without its unpickler.

A pickle is a program. This interpreter knows the few opcodes that tensors in tuples, lists and
dicts need, and four callables, none of which it looks up: it builds their results itself.
Source: the opcodes' descriptions in Python's ``pickletools``; ``torch/_utils.py`` for the tensors.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from edgeopt.boundary import stored_members
from edgeopt.errors import InputError
from edgeopt.ir.storages import DTYPES, storage, strided

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_sample_inputs"]

_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_GLOBALS = {
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "collections OrderedDict",
    *(f"torch {name}" for name in _STORAGES),
}
_MAX_STEPS = 100_000
_MARK = object()


class _Global(NamedTuple):
    name: str


class _Refused(ValueError):  # noqa: N818 (never leaves this module)
    pass


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
        if bytes(members.get("byteorder", b"little")) != b"little":
            raise _Refused("of a machine of another byte order")
        value = _Machine(members).run(bytes(members["data.pkl"]))
        return _checked(value)
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError, RecursionError) as error:
        what = f"its example inputs hold more than tensors: {error}"
        hint = "export the model with tensors, numbers, tuples, lists and dicts of them as inputs"
        raise InputError(what[:400], where=where, hint=hint) from error


def _checked(value: Any) -> Any:
    shape_fits = isinstance(value, tuple) and len(value) == 2  # noqa: PLR2004 (args, kwargs)
    if not shape_fits or not isinstance(value[0], tuple) or not isinstance(value[1], dict):
        raise _Refused("other than arguments and keyword arguments")
    return value


class _Machine:
    """The stack machine of a pickle, for the opcodes in `_step` only."""

    def __init__(self, members: Mapping[str, memoryview]) -> None:
        self.members = members
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, code: bytes) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(code)):
            if opcode.name == "STOP":
                return self.stack.pop()
            if count > _MAX_STEPS:
                raise _Refused("too many of them")
            self._step(opcode.name, argument)
        raise _Refused("no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in ("PROTO", "FRAME"):
            return
        if name in (
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BININT",
            "BININT1",
            "BININT2",
            "LONG1",
            "BINFLOAT",
        ):
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name == "GLOBAL":
            if argument not in _GLOBALS:
                raise _Refused(f"{argument!r}"[:100])
            self.stack.append(_Global(argument))
        else:
            self._combine(name)

    def _combine(self, name: str) -> None:
        if name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self.stack[-_TUPLES[name] :])]
        elif name == "TUPLE":
            self.stack.append(tuple(self._since_mark()))
        elif name in ("APPENDS", "APPEND"):
            parts = self._since_mark() if name == "APPENDS" else [self.stack.pop()]
            self._target(list).extend(parts)
        elif name in ("SETITEMS", "SETITEM"):
            parts = self._since_mark() if name == "SETITEMS" else self._pop(2)
            for key, value in zip(parts[::2], parts[1::2], strict=True):
                self._target(dict)[_key(key)] = value
        elif name == "BINPERSID":
            self.stack.append(self._storage(self.stack.pop()))
        elif name == "REDUCE":
            called, arguments = self._pop(2)
            self.stack.append(self._called(called, arguments))
        else:
            raise _Refused(f"the opcode {name}")

    def _since_mark(self) -> list[Any]:
        at = max(place for place, value in enumerate(self.stack) if value is _MARK)
        parts = self.stack[at + 1 :]
        del self.stack[at:]
        return parts

    def _pop(self, count: int) -> list[Any]:
        parts = self.stack[-count:]
        del self.stack[-count:]
        return parts

    def _target(self, kind: type[Any]) -> Any:
        if type(self.stack[-1]) is not kind:
            raise _Refused("an entry in what is no container")
        return self.stack[-1]

    def _storage(self, identity: Any) -> tuple[memoryview, str]:
        kind, storage, key, place, _ = identity
        if kind != "storage" or place != "cpu" or not isinstance(storage, _Global):
            raise _Refused("a tensor that is not on the CPU")
        if not isinstance(key, str) or not key.isdecimal():
            raise _Refused("a tensor of no name")
        return self.members[f"data/{key}"], _STORAGES[storage.name.partition(" ")[2]]

    def _called(self, called: Any, arguments: Any) -> Any:
        name = called.name if isinstance(called, _Global) else ""
        if name == "collections OrderedDict" and arguments == ():
            return {}
        if name == "torch._utils _rebuild_tensor_v2":
            (raw, dtype), offset, size, stride, *_ = arguments
            return strided(storage(raw), DTYPES[dtype], size, stride, offset, spare=0)
        if name == "torch._utils _rebuild_parameter" and isinstance(arguments[0], torch.Tensor):
            return arguments[0]
        raise _Refused(f"a call of {name or type(called).__name__}")


_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS: dict[str, Any] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
}


def _key(key: Any) -> Any:
    """Keys come back in code that torch makes of an example's structure."""
    if isinstance(key, str) and key.isidentifier() and key.isascii():
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    raise _Refused(f"an entry called {key!r}"[:100])
