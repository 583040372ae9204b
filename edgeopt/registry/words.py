"""What a field holds and what came instead, in a person's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from msgspec import inspect as schema

from edgeopt.registry.suggest import did_you_mean

__all__ = ["bare", "bounds", "is_share", "named", "near", "plain_type", "shown"]

_LONGEST = 60


def shown(value: object) -> str:
    """Returns ``value`` as an error shows it: strings in quotes, long ones cut."""
    if isinstance(value, Mapping):
        return "a table"
    if not isinstance(value, (str, int, float, list, tuple, type(None))):
        return f"a {type(value).__name__}"
    if value is None or isinstance(value, float):
        return repr(value)
    text = json.dumps(value, ensure_ascii=False, default=lambda inner: f"a {type(inner).__name__}")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def bare(kind: schema.Type) -> tuple[schema.Type, dict[str, Any]]:
    """Returns what a field holds where it holds anything, and what was said beside the type."""
    kind, extra = plain_type(kind)
    if isinstance(kind, schema.UnionType):
        members = [one for one in kind.types if not isinstance(one, schema.NoneType)]
        return plain_type(members[0]) if len(members) == 1 else (kind, extra)
    return kind, extra


def bounds(kind: schema.Type, extra: Mapping[str, Any]) -> str:
    """Returns what a field may be in words, for a help text; empty where its type says it."""
    if isinstance(kind, schema.LiteralType) or ("kind" in extra and extra["kind"].choices):
        return f" {named(kind, extra).capitalize()}.".replace('"', "")
    interval = _range(kind)
    return f" A number{interval}." if interval else ""


def plain_type(kind: schema.Type) -> tuple[schema.Type, dict[str, Any]]:
    """Returns the type, and what was said beside it (`msgspec.Meta`'s ``extra``)."""
    if isinstance(kind, schema.Metadata):
        return kind.type, dict(kind.extra or {})
    return kind, {}


def named(kind: schema.Type, extra: Mapping[str, Any] | None = None) -> str:
    """Returns what a field of ``kind`` holds, as a person calls it."""
    if isinstance(kind, schema.Metadata):
        return named(*plain_type(kind))
    if (special := (extra or {}).get("kind")) is not None:
        names = ", ".join(shown(name) for name in special.choices)
        return f"one of {names}, or {special.name}" if names else str(special.name)
    name = _NAMES.get(type(kind))
    return f"{_SINGULAR[type(kind)]}{_range(kind)}" if name is None else name(kind)


def _plural(kind: schema.Type) -> str:
    return _PLURAL[type(plain_type(kind)[0])]


def _members(kind: schema.UnionType) -> str:
    return " or ".join(named(one) for one in kind.types if not isinstance(one, schema.NoneType))


_NAMES: dict[type[schema.Type], Callable[[Any], str]] = {
    schema.LiteralType: lambda kind: "one of " + ", ".join(map(shown, kind.values)),
    schema.UnionType: _members,
    schema.VarTupleType: lambda kind: f"a list of {_items(kind)}{_plural(kind.item_type)}",
    schema.DictType: lambda kind: f"a table of {_plural(kind.value_type)}",
}


def _items(kind: schema.VarTupleType) -> str:
    if kind.max_length is not None:
        return f"at most {kind.max_length} "
    return f"{kind.min_length} or more " if kind.min_length else ""


def _range(kind: schema.Type) -> str:
    """Returns the bounds of a number in words, with a space before; empty where it has none."""
    low, high = (getattr(kind, name, None) for name in ("ge", "le"))
    above, below = (getattr(kind, name, None) for name in ("gt", "lt"))
    if above is not None and below is not None:
        return f" between {above:g} and {below:g}"
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    parts = [f"above {above:g}"] if above is not None else []
    parts += [f"of {low:g} or more"] if low is not None else []
    parts += [f"below {below:g}"] if below is not None else []
    parts += [f"of {high:g} or less"] if high is not None else []
    return " " + " and ".join(parts) if parts else ""


_SINGULAR: dict[type[schema.Type], str] = {
    schema.StrType: "a string",
    schema.IntType: "a whole number",
    schema.FloatType: "a number",
    schema.BoolType: "true or false",
    schema.AnyType: "anything",
    schema.StructType: "a table",
}


_PLURAL: dict[type[schema.Type], str] = {
    schema.StrType: "strings",
    schema.IntType: "whole numbers",
    schema.FloatType: "numbers",
    schema.StructType: "tables",
    schema.DictType: "tables",
    schema.VarTupleType: "lists",
    schema.AnyType: "values",
    schema.UnionType: "values",
    schema.LiteralType: "names",
}


def is_share(kind: schema.Type, extra: Mapping[str, Any]) -> bool:
    """Returns whether a number is a part of something: from 0 to 1, or said to be one."""
    if not isinstance(kind, schema.FloatType):
        return False
    low = kind.gt if kind.ge is None else kind.ge
    high = kind.lt if kind.le is None else kind.le
    return bool(extra.get("share")) or (low == 0 and high == 1)


def near(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> str | None:
    """Returns the hint that names what was probably meant; None where nothing is near."""
    if isinstance(kind, schema.VarTupleType):
        item, more = plain_type(kind.item_type)
        return near(item, value, more)
    if not isinstance(value, str):
        return _as_share(kind, value, extra)
    if isinstance(kind, schema.IntType | schema.FloatType):
        return _unquoted(value)
    special = extra.get("kind")
    names = special.choices if special else getattr(kind, "values", ())
    spellings = {name: name for name in names if isinstance(name, str)}
    return did_you_mean(value, {**extra.get("spellings", {}), **spellings})


def _as_share(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> str | None:
    """Returns what to type for a share that seems to be in percent; None where it is none."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and is_share(kind, extra) and 1 < value <= 100:  # noqa: PLR2004 (percent)
        return f"it is a share: {float(value) / 100:g} for {float(value):g} %"
    return None


def _unquoted(text: str) -> str | None:
    try:
        return f"a number has no quotes: {float(text):g}"
    except ValueError:
        return None
