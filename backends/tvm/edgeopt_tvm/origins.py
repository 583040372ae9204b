"""Which of the program's nodes each kernel computes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from edgeopt_tvm.flatten import bindings, identity, is_call, is_view

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgeopt_tvm.flatten import Identity

__all__ = ["origins_of"]

Key = tuple[str, tuple["Identity", ...]]
"""What a call calls, and the values that it reads."""

_CONSTANT: Identity = (-1,)
"""All constants count as one: grouping renames them."""


def origins_of(plain: Any, joined: Any) -> list[tuple[str, ...]]:
    """Returns for each kernel call of main, in order, the nodes of the program that it computes.

    Grouping renames values, and equal groups become one function. So each call within a group is
    looked for among the calls before grouping: the one that reads the same values.

    Args:
        plain: The module before operators were grouped; each value is named after its node.
        joined: The module with groups.
    """
    return _Trace(plain, joined).groups()


class _Trace:
    """Follows the groups of main; each value stands for the one that it was before grouping."""

    def __init__(self, plain: Any, joined: Any) -> None:
        self._joined = joined
        self._nodes: dict[Identity, str] = {}
        self._calls: dict[Key, list[Identity]] = defaultdict(list)
        same: dict[Identity, Identity] = {}
        for parameter, other in zip(plain["main"].params, joined["main"].params, strict=True):
            same[identity(parameter)] = identity(other)
        for binding in bindings(plain["main"]):
            _follow(same, binding)
            own = identity(binding.var)
            node = binding.var.name.rpartition("__")[0]
            if node:
                self._nodes.setdefault(same.get(own, own), node)
            if is_call(binding.value):
                self._calls[_key(binding.value, same)].append(own)

    def groups(self) -> list[tuple[str, ...]]:
        """Returns the nodes of each call of main."""
        same: dict[Identity, Identity] = {}
        found = []
        for binding in bindings(self._joined["main"]):
            _follow(same, binding)
            if is_call(binding.value):
                made = self._made(binding.value, same)
                if made:
                    same[identity(binding.var)] = made[-1]
                nodes = (self._nodes.get(value, "") for value in made)
                found.append(tuple(dict.fromkeys(n for n in nodes if n)))
        return found

    def _made(self, call: Any, same: dict[Identity, Identity]) -> list[Identity]:
        """Returns what the calls inside a call of main made before grouping, in order."""
        if not isinstance(call.op, tvm.ir.GlobalVar):
            return self._taken(_key(call, same))
        function = self._joined[call.op]
        inner: dict[Identity, Identity] = {}
        for parameter, given in zip(function.params, call.args, strict=True):
            inner[identity(parameter)] = _value(given, same)
        made = []
        for binding in bindings(function):
            _follow(inner, binding)
            if is_call(binding.value):
                found = self._taken(_key(binding.value, inner))
                inner[identity(binding.var)] = found[0] if found else identity(binding.var)
                made += found
        return made

    def _taken(self, key: Key) -> list[Identity]:
        """Returns the first call like that which no group has yet."""
        left = self._calls.get(key)
        return [left.pop(0)] if left else []


def _follow(same: dict[Identity, Identity], binding: Any) -> None:
    """Takes note of a variable that is another under a new name, or in another shape."""
    value = binding.value
    if isinstance(value, relax.Var):
        same[identity(binding.var)] = _value(value, same)
    elif isinstance(value, relax.Call) and is_view(value):
        same[identity(binding.var)] = _value(value.args[0], same)


def _key(call: Any, same: dict[Identity, Identity]) -> Key:
    given: Iterable[Any] = call.args
    called = str(call.op)
    if call.op == tvm.ir.Op.get("relax.call_tir"):
        called = call.args[0].name_hint
        held = call.args[1]
        given = held.fields if isinstance(held, relax.Tuple) else [held]
    return called, tuple(_value(value, same) for value in given)


def _value(value: Any, same: dict[Identity, Identity]) -> Identity:
    if not isinstance(value, relax.Var):
        return _CONSTANT
    own = identity(value)
    return same.get(own, own)
