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
        origins = []
        for binding in bindings(self._joined["main"]):
            _follow(same, binding)
            if is_call(binding.value):
                calls = self._made(binding.value, same)
                if calls:
                    same[identity(binding.var)] = calls[-1]
                nodes = (self._nodes.get(value, "") for value in calls)
                origins.append(tuple(dict.fromkeys(n for n in nodes if n)))
        return origins

    def _made(self, call: Any, same: dict[Identity, Identity]) -> list[Identity]:
        """Returns what the calls inside a call of main made before grouping, in order."""
        if not isinstance(call.op, tvm.ir.GlobalVar):
            return self._taken(_key(call, same))
        function = self._joined[call.op]
        inner: dict[Identity, Identity] = {}
        for parameter, argument in zip(function.params, call.args, strict=True):
            inner[identity(parameter)] = _value(argument, same)
        calls = []
        for binding in bindings(function):
            _follow(inner, binding)
            if is_call(binding.value):
                matches = self._taken(_key(binding.value, inner))
                inner[identity(binding.var)] = matches[0] if matches else identity(binding.var)
                calls += matches
        return calls

    def _taken(self, key: Key) -> list[Identity]:
        """Returns the first call like that which no group has yet."""
        calls = self._calls.get(key)
        return [calls.pop(0)] if calls else []


def _follow(same: dict[Identity, Identity], binding: Any) -> None:
    """Takes note of a variable that is another under a new name, or in another shape."""
    value = binding.value
    if isinstance(value, relax.Var):
        same[identity(binding.var)] = _value(value, same)
    elif isinstance(value, relax.Call) and is_view(value):
        same[identity(binding.var)] = _value(value.args[0], same)


def _key(call: Any, same: dict[Identity, Identity]) -> Key:
    operands: Iterable[Any] = call.args
    called = str(call.op)
    if call.op == tvm.ir.Op.get("relax.call_tir"):
        called = call.args[0].name_hint
        argument = call.args[1]
        operands = argument.fields if isinstance(argument, relax.Tuple) else [argument]
    return called, tuple(_value(value, same) for value in operands)


def _value(value: Any, same: dict[Identity, Identity]) -> Identity:
    if not isinstance(value, relax.Var):
        return _CONSTANT
    own = identity(value)
    return same.get(own, own)
