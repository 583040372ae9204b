"""Reads pickles from outside without running them: what they would call is written down, not called.

A pickle is a program for a stack machine. This one imports nothing and calls nothing: a name stays a
name (`Named`), and an object of a class stays a description of it (`Described`: which class, built of
what, with which state). Whoever reads says what becomes of the few calls that he knows.
Source: the opcodes' descriptions in Python's ``pickletools``.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BytesIO

__all__ = ["Described", "Named", "PickleError", "decode_pickle"]

MAX_STEPS = 4_000_000
"""Opcodes of one pickle: a checkpoint of the largest detectors has some 100 000."""
_MARK = object()


class Named(NamedTuple):
    """A class or function that a pickle names; it is never looked up.

    Attributes:
        name: Module and name, for example ``collections.OrderedDict``.
    """

    name: str


@dataclass(eq=False)
class Described:
    """An object that was not built.

    Attributes:
        kind: Module and name of its class, or of what would have made it.
        arguments: What it would have been made of.
        state: What would have been put into it afterwards; None where nothing would.
        items: What would have been appended or added.
        entries: What would have been set in it by key.
    """

    kind: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


class PickleError(ValueError):
    """Bytes are no pickle, or of a kind that is not read."""


def decode_pickle(
    code: bytes | BytesIO,
    *,
    call: Callable[[str, tuple[Any, ...]], Any] = Described,
    persistent: Callable[[Any], Any] | None = None,
    most: int = MAX_STEPS,
) -> Any:
    """Returns what a pickle describes: numbers, texts, containers, and for all else descriptions.

    Args:
        code: The pickle, or a stream that is left behind its end.
        call: From the name of a callable and its arguments to what takes the result's place.
        persistent: From a persistent identity to what takes its place; None where there is none.
        most: Opcodes, at most.

    Raises:
        PickleError: It is damaged, has no end, is too long, or has an opcode of another kind.
    """
    try:
        return _Machine(call, persistent, most).run(code)
    except PickleError:
        raise
    except (
        Exception
    ) as damage:  # of any kind: pickletools', what callers refuse, what containers do
        raise PickleError(str(damage) or type(damage).__name__) from damage


class _Machine:
    """The stack machine of a pickle."""

    def __init__(self, call: Any, persistent: Any, most: int) -> None:
        self.call, self.persistent, self.most = call, persistent, most
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, code: bytes | BytesIO) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(code)):
            if opcode.name == "STOP":
                return self.stack.pop()
            if count > self.most:
                raise PickleError("too many of them")
            self._step(opcode.name, argument)
        raise PickleError("no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in _NOTHING:
            return
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in {"BINPUT", "LONG_BINPUT"}:
            self.memo[argument] = self.stack[-1]
        elif name in {"BINGET", "LONG_BINGET"}:
            self.stack.append(self.memo[argument])
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name == "GLOBAL":
            self.stack.append(Named(argument.replace(" ", ".", 1)))
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self._pop(_TUPLES[name], keep=True))]
        else:
            self._combine(name)

    def _combine(self, name: str) -> None:
        if name == "TUPLE":
            self.stack.append(tuple(self._since_mark()))
        elif name in {"APPENDS", "APPEND", "ADDITEMS"}:
            parts = self._pop(1) if name == "APPEND" else self._since_mark()
            self._add(parts)
        elif name in {"SETITEMS", "SETITEM"}:
            parts = self._pop(2) if name == "SETITEM" else self._since_mark()
            self._set(dict(zip(parts[::2], parts[1::2], strict=True)))
        elif name == "BINPERSID" and self.persistent is not None:
            self.stack.append(self.persistent(self.stack.pop()))
        elif name in {"REDUCE", "NEWOBJ", "NEWOBJ_EX"}:
            made_of = self._pop(3 if name == "NEWOBJ_EX" else 2)
            self.stack.append(self._called(*made_of[:2]))
        elif name == "STACK_GLOBAL":
            module, qualified = self._pop(2)
            self.stack.append(Named(f"{module}.{qualified}"))
        elif name == "BUILD":
            self._build(self.stack.pop())
        else:
            raise PickleError(f"the opcode {name}")

    def _called(self, called: Any, arguments: Any) -> Any:
        if not isinstance(called, Named) or not isinstance(arguments, tuple):
            raise PickleError(f"a call of a {type(called).__name__}")
        if called.name in _SETS and all(isinstance(one, list) for one in arguments):
            return {part for one in arguments for part in one}
        return self.call(called.name, arguments)

    def _build(self, state: Any) -> None:
        if isinstance(self.stack[-1], Described):
            self.stack[-1].state = state
        elif not isinstance(
            self.stack[-1], dict
        ):  # an OrderedDict's own attributes: nobody needs them
            raise PickleError(f"a state of a {type(self.stack[-1]).__name__}")

    def _add(self, parts: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is set:
            target.update(parts)
        elif type(target) is list:
            target.extend(parts)
        elif isinstance(target, Described):
            target.items.extend(parts)
        else:
            raise PickleError("an entry in what is no container")

    def _set(self, entries: dict[Any, Any]) -> None:
        target = self.stack[-1]
        if type(target) is dict:
            target.update(entries)
        elif isinstance(target, Described):
            target.entries.update(entries)
        else:
            raise PickleError("an entry in what is no container")

    def _since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
        parts = self.stack[at + 1 :]
        del self.stack[at:]
        return parts

    def _pop(self, count: int, *, keep: bool = False) -> list[Any]:
        parts = self.stack[-count:]
        if len(parts) != count or any(part is _MARK for part in parts):
            raise PickleError("a stack that is too short")
        if not keep:
            del self.stack[-count:]
        return parts


_SETS = {"builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"}
_NOTHING = {"PROTO", "FRAME"}
_LITERALS = {
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES"),
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS: dict[str, Any] = {
    "MARK": lambda: _MARK,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
