"""Which of the program's nodes each kernel computes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from edgeopt_tvm.flatten import bindings, is_call, is_view

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["origins_of"]

Key = tuple[str, tuple[str, ...]]
"""What a call calls, and the variables that it reads."""


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
    """Follows the groups of main, each value under the name that it had before grouping."""

    def __init__(self, plain: Any, joined: Any) -> None:
        self._joined = joined
        self._calls: dict[Key, list[str]] = defaultdict(list)
        views: dict[str, str] = {}
        for binding in bindings(plain["main"]):
            _follow(views, binding)
            if is_call(binding.value):
                self._calls[_key(binding.value, views)].append(binding.var.name)

    def groups(self) -> list[tuple[str, ...]]:
        names: dict[str, str] = {}
        found = []
        for binding in bindings(self._joined["main"]):
            _follow(names, binding)
            if is_call(binding.value):
                made = self._made(binding.value, names)
                names[binding.var.name] = made[-1] if made else binding.var.name
                nodes = (name.rpartition("__")[0] for name in made)
                found.append(tuple(dict.fromkeys(n for n in nodes if n)))
        return found

    def _made(self, call: Any, names: dict[str, str]) -> list[str]:
        """Returns the former names of what a call of main makes, in order."""
        if not isinstance(call.op, tvm.ir.GlobalVar):
            return self._taken(_key(call, names))
        function = self._joined[call.op]
        inner: dict[str, str] = {}
        for parameter, given in zip(function.params, call.args, strict=True):
            inner[parameter.name] = _name(given, names)
        made = []
        for binding in bindings(function):
            _follow(inner, binding)
            if is_call(binding.value):
                found = self._taken(_key(binding.value, inner))
                inner[binding.var.name] = found[0] if found else binding.var.name
                made += found
        return made

    def _taken(self, key: Key) -> list[str]:
        """Returns the first call like that which no group has yet."""
        left = self._calls.get(key)
        return [left.pop(0)] if left else []


def _follow(names: dict[str, str], binding: Any) -> None:
    """Takes note of a variable that is another under a new name, or in another shape."""
    value = binding.value
    if isinstance(value, relax.Var):
        names[binding.var.name] = names.get(value.name, value.name)
    elif isinstance(value, relax.Call) and is_view(value):
        names[binding.var.name] = _name(value.args[0], names)


def _key(call: Any, names: dict[str, str]) -> Key:
    given: Iterable[Any] = call.args
    called = str(call.op)
    if call.op == tvm.ir.Op.get("relax.call_tir"):
        called = call.args[0].name_hint
        held = call.args[1]
        given = held.fields if isinstance(held, relax.Tuple) else [held]
    return called, tuple(_name(value, names) for value in given)


def _name(value: Any, names: dict[str, str]) -> str:
    """Returns a variable's former name; all constants have one, since grouping renames them."""
    if isinstance(value, relax.Constant):
        return "constant"
    return names.get(value.name, value.name) if isinstance(value, relax.Var) else ""
