"""The structure of a call's arguments and results, as plain data: no class comes by its name.

torch resolves the types of such a structure by importing what a file names, and writes keys into
code that it executes. What is read or written here is made of tuples, lists and dicts only.
"""

from __future__ import annotations

import json
import keyword
from typing import TYPE_CHECKING, Any

import msgspec

from edgeopt.boundary import decode_json
from edgeopt.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["plain_tree"]

_MAX_DEPTH = 40
_MAX_BYTES = 4 << 20
_SEQUENCES = {"builtins.tuple": "builtins.tuple", "builtins.list": "builtins.list"}
_SEQUENCES["collections.deque"] = "builtins.list"
_FACTORIES = ("dict", "float", "int", "list", "set", "str", "tuple")
_DICTS = ("builtins.dict", "collections.OrderedDict")


class _Node(msgspec.Struct):
    type: str | None
    context: str | dict[str, Any] | None  # torch writes JSON text, but for a defaultdict
    children_spec: list[_Node]


def plain_tree(
    text: str, fields: Mapping[str, Sequence[str]] | None = None, *, call: bool = False
) -> str:
    """Returns a structure in torch's JSON form with builtin types only.

    Args:
        text: What torch's ``treespec_dumps`` wrote, or somebody else.
        fields: Name of a named tuple to the names of its fields.
        call: Whether it is that of arguments: ``((positional…), {keyword: …})``.

    Raises:
        ValueError: It is none, or one that cannot be written with tuples, lists and dicts.
    """
    try:
        version, node = decode_json(text, tuple[int, _Node], where="", most=_MAX_BYTES)
    except InputError as error:
        raise ValueError(f"a structure of arguments that is none: {error.what}") from error
    if version != 1:
        raise ValueError(f"a structure of arguments of version {version}")
    tree = _plain(node, fields or {}, _MAX_DEPTH)
    if call:
        _check_call(tree)
    return json.dumps([1, tree])


def _plain(node: _Node, fields: Mapping[str, Sequence[str]], depth: int) -> dict[str, Any]:
    if depth == 0:
        raise ValueError("a structure of arguments that is nested too deep")
    children = [_plain(child, fields, depth - 1) for child in node.children_spec]
    if node.type is None:
        if node.context is not None or children:
            raise ValueError("a leaf with something in it among the arguments")
        return _tree(None, None, children)
    if node.type in _SEQUENCES:
        if node.type != "collections.deque" and node.context != "null":
            raise ValueError("a tuple or list that says more than its entries")
        if not isinstance(_context(node), int | None):
            raise ValueError("a deque whose length is no number")
        return _tree(_SEQUENCES[node.type], "null", children)
    keys = _keys(node, fields)
    if keys is None:
        return _tree("builtins.tuple", "null", children)
    if len(keys) != len(children) or len(set(keys)) != len(keys):
        raise ValueError(f"{len(keys)} keys for {len(children)} entries")
    return _tree("builtins.dict", json.dumps(keys), children)


def _tree(kind: str | None, context: str | None, children: list[Any]) -> dict[str, Any]:
    return {"type": kind, "context": context, "children_spec": children}


def _keys(node: _Node, fields: Mapping[str, Sequence[str]]) -> list[Any] | None:
    """Returns the keys of a dict or of what becomes one; None for a tuple without names."""
    context = _context(node)
    if node.type == "collections.namedtuple":
        names = fields.get(context) if isinstance(context, str) else None
        return None if names is None else [_key(name) for name in names]
    if node.type == "collections.defaultdict" and isinstance(context, dict):
        factory = context.get("default_factory_module"), context.get("default_factory_name")
        if factory[0] != "builtins" or factory[1] not in _FACTORIES:
            raise ValueError(f"a dict that makes entries by {str(factory)[:80]}")
        context = context.get("dict_context")
    elif node.type not in _DICTS and isinstance(context, list) and context[:1]:
        # a registered dataclass: its fields, and those that are left out
        context = context[0] if isinstance(context[0], list) else context
    if not isinstance(context, list):
        raise ValueError(f"a {str(node.type)[:80]!r} among arguments or results")  # noqa: TRY004
    return [_key(key) for key in context]


def _context(node: _Node) -> Any:
    if isinstance(node.context, dict):
        return node.context
    if node.context is None:
        raise ValueError(f"a {node.type!r} that does not say its keys")
    if node.type == "collections.namedtuple" and not node.context.startswith('"'):
        return node.context
    try:
        return decode_json(node.context, Any, where="", most=_MAX_BYTES)
    except InputError as error:
        raise ValueError(f"keys that cannot be read: {error.what}") from error


def _key(key: Any) -> Any:
    """A key is printed, and written into code in quotes: it must not end them."""
    if isinstance(key, int) and not isinstance(key, bool):
        return key
    if isinstance(key, str) and key.isprintable() and not set(key) & set("'\"\\`"):
        return key
    raise ValueError(f"an entry is called {str(key)[:60]!r}")


def _check_call(tree: dict[str, Any]) -> None:
    """Names of keyword arguments are written into code as they are."""
    parts = tree["children_spec"]
    kinds = [part["type"] for part in parts]
    if tree["type"] != "builtins.tuple" or kinds != ["builtins.tuple", "builtins.dict"]:
        raise ValueError("arguments that are no positional and keyword arguments")
    for name in json.loads(parts[1]["context"]):
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"an argument is called {str(name)[:60]!r}")
