"""Whether a value is what a field holds, and what it becomes there."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

from msgspec import inspect as schema

from edgeopt.registry.words import is_share, plain_type

__all__ = ["chosen", "converted", "counted", "fits", "listed", "without_percent"]

_LARGEST = 2**63 - 1  # what a file, and every library below, holds as a whole number


def fits(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> bool:
    """Returns whether a field of ``kind`` may hold ``value``."""
    if (special := extra.get("kind")) is not None:
        is_choice = isinstance(value, str) and value in special.choices
        return is_choice or bool(special.fits(value))
    test = _TESTS.get(type(kind))
    return test is not None and test(kind, value)


def _is_whole(kind: schema.Type, value: Any) -> bool:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and abs(int(value)) <= _LARGEST and _within(kind, int(value))


def _is_number(kind: schema.Type, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        number = float(value)
    except (OverflowError, ValueError):  # a whole number beyond the largest float
        return False
    return math.isfinite(number) and _within(kind, number)


def _within(kind: Any, value: float) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


_TESTS: dict[type[schema.Type], Callable[[Any, Any], bool]] = {
    schema.AnyType: lambda _, _value: True,
    schema.LiteralType: lambda kind, value: (
        (type(value) in {str, int} or isinstance(value, StrEnum)) and value in kind.values
    ),
    schema.StrType: lambda kind, value: (
        isinstance(value, str) and len(value) >= (kind.min_length or 0)
    ),
    schema.BoolType: lambda _, value: isinstance(value, bool),
    schema.IntType: _is_whole,
    schema.FloatType: _is_number,
    schema.StructType: lambda kind, value: type(value) is kind.cls,  # a subclass would lose fields
    schema.UnionType: lambda kind, value: any(fits(*_swap(one, value)) for one in kind.types),
}


_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*%\s*")


def without_percent(kind: schema.Type, value: Any) -> Any:
    """Returns a share that is written in percent, ``"1%"``, as the number; anything else as it is."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    bare_kind, extra = plain_type(kind)
    members = bare_kind.types if isinstance(bare_kind, schema.UnionType) else (kind,)
    shares = any(is_share(inner, {**extra, **own}) for inner, own in map(plain_type, members))
    return float(match[1]) / 100 if shares else value


def counted(kind: schema.VarTupleType, count: int) -> bool:
    """Returns whether a list of ``count`` items is neither too short nor too long."""
    return (kind.min_length or 0) <= count <= (kind.max_length or count)


def converted(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> Any:
    """Returns ``value``, which fits, as the field holds it."""
    if (special := extra.get("kind")) is not None:
        return special.convert(value)
    if isinstance(kind, schema.LiteralType) and isinstance(value, StrEnum):
        return value.value  # `Precision.INT8` is as good as its name
    if isinstance(kind, schema.IntType):
        return int(value)
    return float(value) if isinstance(kind, schema.FloatType) else value


def _swap(kind: schema.Type, value: Any) -> tuple[schema.Type, Any, dict[str, Any]]:
    bare, extra = plain_type(kind)
    return bare, value, extra


def _alike(kind: schema.Type, value: Any) -> bool:
    """Returns whether ``value`` is of the type ``kind``, its bounds aside."""
    if isinstance(kind, schema.StructType | schema.DictType):
        return isinstance(value, Mapping)
    if isinstance(kind, schema.IntType | schema.FloatType):
        return isinstance(value, Real) and not isinstance(value, bool)
    return isinstance(kind, schema.VarTupleType) and isinstance(value, list | tuple)


def listed(
    kind: schema.VarTupleType, value: Any, extra: Mapping[str, Any]
) -> list[Any] | tuple[Any, ...] | None:
    """Returns the items of a list; None where it is none. One name or number may stand for a list of it.

    An array or a tensor of one axis is a list of its numbers.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, range):
        value = list(value)
    if isinstance(value, list | tuple):
        return value
    item, more = plain_type(kind.item_type)
    return (value,) if extra.get("single") and fits(item, value, more) else None


def chosen(kind: schema.Type, value: Any) -> tuple[schema.Type, dict[str, Any]]:
    """Returns the member of a union that ``value`` is most like, and what was said beside the type."""
    kind, extra = plain_type(kind)
    if not isinstance(kind, schema.UnionType):
        return kind, extra
    members = [one for one in kind.types if not isinstance(one, schema.NoneType)]
    if value is None and len(members) < len(kind.types):
        return schema.AnyType(), {}
    if len(members) == 1:
        return plain_type(members[0])
    fitting = [one for one in members if fits(*_swap(one, value))]
    likely = [one for one in members if _alike(plain_type(one)[0], value)]
    member = next(iter([*fitting, *_tagged(members, value), *likely]), None)
    return (schema.UnionType(tuple(members)), {}) if member is None else plain_type(member)


def _tagged(members: list[schema.Type], value: Any) -> list[schema.Type]:
    """Returns the Struct whose tag the table ``value`` bears."""
    tables = [one for one in members if isinstance(one, schema.StructType) and one.tag_field]
    if not isinstance(value, Mapping):
        return []
    return [one for one in tables if value.get(one.tag_field) == one.tag]
