"""From values that a person wrote to the fields of a Struct; what is wrong, in a person's words.

msgspec knows the schema (types, bounds, choices), but a bare constructor does not validate, and a
conversion stops at the first wrong field and names types as Python does. This walks the same schema,
finds every wrong field, and converts the rest. Descriptors, recipes and all options go through it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import inspect as schema

from edgeopt.errors import ConfigError, EdgeoptError
from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Kind",
    "Problem",
    "bare",
    "bounds",
    "problems",
    "raise_any",
    "shown",
    "take",
    "unknown_field",
]


_LONGEST = 60
_LARGEST = 2**63 - 1  # what a file, and every library below, holds as a whole number


class Problem(NamedTuple):
    """One wrong field.

    Attributes:
        path: Where, for example ``cpu.isa``.
        what: ``expected a list of strings, got 3``.
        hint: What was probably meant.
    """

    path: str
    what: str
    hint: str | None = None


class Kind(NamedTuple):
    """What a field takes that msgspec has no type for: ``Annotated[Any, Meta(extra={"kind": …})]``.

    Attributes:
        name: What a person calls it, for example ``a function``.
        fits: Tells whether a value is one.
        choices: Names that may stand for one.
        convert: From a value that fits to what the field holds.
    """

    name: str
    fits: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    convert: Callable[[Any], Any] = lambda value: value


def problems(struct: type, value: object) -> list[Problem]:
    """Returns every field of ``value`` that does not fit ``struct``, in the schema's order.

    Args:
        struct: A msgspec Struct.
        value: What a TOML file holds.
    """
    return take(struct, value)[1]


def take(struct: type, value: object) -> tuple[dict[str, Any], list[Problem]]:
    """Returns the fields of ``struct`` that ``value`` gives, converted, and what is wrong with it.

    Whole numbers become floats where a field is one, lists tuples, tables the Structs they describe.

    Args:
        struct: A msgspec Struct.
        value: Field name to value.
    """
    wrong: list[Problem] = []
    kind = _info(struct)
    if not isinstance(value, Mapping):
        return {}, [Problem("", f"expected a table, got {shown(value)}")]
    return _fields(kind, value, "", wrong), wrong


def unknown_field(name: str, known: Sequence[str]) -> Problem:
    """Returns the problem that there is no field ``name`` among ``known``."""
    what = f'expected one of the fields {", ".join(known)}, got "{name}"'
    return Problem(name, what, did_you_mean(name, known))


def raise_any(found: Sequence[Problem], file: str, error_type: type[EdgeoptError]) -> None:
    """Raises one error for all of ``found``; the last one's hint is the error's.

    Args:
        found: What is wrong; nothing is raised where it is empty.
        file: How the error calls the file; empty where there is none.
        error_type: What is raised.

    Raises:
        EdgeoptError: There is a problem; of the type ``error_type``.
    """
    if not found:
        return
    lines = []
    for problem in found:
        lines.append(f"{_place(file, problem)}: {problem.what}")
        lines += [f"  -> {problem.hint}"] if problem.hint else []
    hint = found[-1].hint
    where = _place(file, found[0])
    text = "\n".join(lines[:-1] if hint else lines)
    error = error_type(text.removeprefix(f"{where}: "), where=where, hint=hint)
    if isinstance(error, ConfigError):
        error.problems = tuple(found)
    raise error


def _place(file: str, problem: Problem) -> str:
    return ": ".join(part for part in (file, problem.path) if part)


def shown(value: object) -> str:
    """Returns ``value`` as an error shows it: strings in quotes, long ones cut."""
    if isinstance(value, Mapping):
        return "a table"
    if not isinstance(value, (str, int, float, list, tuple, type(None))):
        return f"a {type(value).__name__}"
    if isinstance(value, float):
        return repr(value)
    text = json.dumps(value, ensure_ascii=False, default=lambda inner: f"a {type(inner).__name__}")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def bare(kind: schema.Type) -> tuple[schema.Type, dict[str, Any]]:
    """Returns what a field holds where it holds anything, and what was said beside the type."""
    kind, extra = _bare(kind)
    if isinstance(kind, schema.UnionType):
        members = [one for one in kind.types if not isinstance(one, schema.NoneType)]
        return _bare(members[0]) if len(members) == 1 else (kind, extra)
    return kind, extra


def bounds(kind: schema.Type, extra: Mapping[str, Any]) -> str:
    """Returns what a field may be in words, for a help text; empty where its type says it."""
    if isinstance(kind, schema.LiteralType) or ("kind" in extra and extra["kind"].choices):
        return f" {named(kind, extra).capitalize()}.".replace('"', "")
    said = _range(kind)
    return f" A number{said}." if said else ""


@cache
def _info(struct: type) -> schema.StructType:
    kind = schema.type_info(struct)
    if not isinstance(kind, schema.StructType):
        raise TypeError(f"{struct} is no Struct")
    return kind


def _take(kind: schema.Type, value: Any, path: str, wrong: list[Problem]) -> Any:
    """Returns ``value`` as a field of ``kind`` holds it; adds to ``wrong`` what does not fit."""
    kind, extra = _chosen(kind, value)
    if isinstance(kind, schema.StructType) and isinstance(value, Mapping):
        return _struct(kind, value, path, wrong)
    if isinstance(kind, schema.VarTupleType) and (listed := _listed(value, extra)) is not None:
        if not _counted(kind, len(listed)):
            wrong.append(Problem(path, f"expected {named(kind, extra)}, got {shown(value)}"))
        items = [_take(kind.item_type, v, f"{path}[{n}]", wrong) for n, v in enumerate(listed)]
        return tuple(items)
    if isinstance(kind, schema.DictType) and isinstance(value, Mapping):
        return {k: _entry(kind, k, v, path, wrong) for k, v in value.items()}
    if not _fits(kind, value, extra):
        what = f"expected {named(kind, extra)}, got {shown(value)}"
        wrong.append(Problem(path, what, _near(kind, value, extra)))
        return value
    return _or_problems(lambda: _converted(kind, value, extra), value, path, wrong)


def _or_problems(make: Callable[[], Any], value: Any, path: str, wrong: list[Problem]) -> Any:
    """Returns what ``make`` does; where it raises, adds what is wrong and returns ``value``."""
    try:
        return make()
    except EdgeoptError as error:
        own = (Problem(error.where or "", error.what, error.hint),)
        inner = getattr(error, "problems", ()) or own
        wrong += [one._replace(path=f"{path}.{one.path}".strip(".")) for one in inner]
        return value


def _chosen(kind: schema.Type, value: Any) -> tuple[schema.Type, dict[str, Any]]:
    """Returns the member of a union that ``value`` is most like, and what was said beside the type."""
    kind, extra = _bare(kind)
    if not isinstance(kind, schema.UnionType):
        return kind, extra
    members = [one for one in kind.types if not isinstance(one, schema.NoneType)]
    if value is None and len(members) < len(kind.types):
        return schema.AnyType(), {}
    if len(members) == 1:
        return _bare(members[0])
    fitting = [one for one in members if _fits(*_swap(one, value))]
    likely = [one for one in members if _alike(_bare(one)[0], value)]
    found = next(iter([*fitting, *_tagged(members, value), *likely]), None)
    return (schema.UnionType(tuple(members)), {}) if found is None else _bare(found)


def _tagged(members: list[schema.Type], value: Any) -> list[schema.Type]:
    """Returns the Struct whose tag the table ``value`` bears."""
    tables = [one for one in members if isinstance(one, schema.StructType) and one.tag_field]
    if not isinstance(value, Mapping):
        return []
    return [one for one in tables if value.get(one.tag_field) == one.tag]


def _bare(kind: schema.Type) -> tuple[schema.Type, dict[str, Any]]:
    if isinstance(kind, schema.Metadata):
        return kind.type, dict(kind.extra or {})
    return kind, {}


def _swap(kind: schema.Type, value: Any) -> tuple[schema.Type, Any, dict[str, Any]]:
    bare, extra = _bare(kind)
    return bare, value, extra


def _alike(kind: schema.Type, value: Any) -> bool:
    """Returns whether ``value`` is of the type ``kind``, its bounds aside."""
    if isinstance(kind, schema.StructType | schema.DictType):
        return isinstance(value, Mapping)
    if isinstance(kind, schema.IntType | schema.FloatType):
        return isinstance(value, Real) and not isinstance(value, bool)
    return isinstance(kind, schema.VarTupleType) and isinstance(value, list | tuple)


def _listed(value: Any, extra: Mapping[str, Any]) -> list[Any] | tuple[Any, ...] | None:
    if extra.get("single") and isinstance(value, str):
        return (value,)
    return value if isinstance(value, list | tuple) else None


def _struct(
    kind: schema.StructType, value: Mapping[str, Any], path: str, wrong: list[Problem]
) -> Any:
    """Returns the Struct that the table ``value`` describes."""
    before = len(wrong)
    values = _fields(kind, value, f"{path}." if path else "", wrong)
    if len(wrong) > before:
        return value
    return _or_problems(lambda: kind.cls(**values), value, path, wrong)


def _fields(
    kind: schema.StructType, value: Mapping[str, Any], prefix: str, wrong: list[Problem]
) -> dict[str, Any]:
    fields = {field.name: field for field in kind.fields}
    taken = {}
    for name, field in fields.items():
        if name in value:
            taken[name] = _take(field.type, value[name], prefix + name, wrong)
        elif field.required:
            wrong.append(Problem(prefix + name, f"expected {named(field.type)}, got nothing"))
    for name in value:
        if name not in fields and name != kind.tag_field:
            problem = unknown_field(str(name), list(fields))
            wrong.append(problem._replace(path=prefix + problem.path))
    return taken


def _entry(kind: schema.DictType, key: Any, value: Any, path: str, wrong: list[Problem]) -> Any:
    """Returns one entry of a table whose keys are free, such as ``sources``."""
    if not _fits(_bare(kind.key_type)[0], key, {}):
        wrong.append(Problem(path, f"expected {named(kind.key_type)} as a key, got {shown(key)}"))
        return value
    inside: list[Problem] = []
    taken = _take(kind.value_type, value, f'{path}."{key}"', inside)
    inner = next(iter(value), None) if isinstance(value, Mapping) else None
    dotted = isinstance(_bare(kind.value_type)[0], schema.StrType) and inner
    hint = f'put the key in quotes: "{key}.{inner}" = …' if dotted else None
    wrong += [one._replace(hint=hint or one.hint) for one in inside]
    return taken


def _fits(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> bool:
    if (special := extra.get("kind")) is not None:
        known = isinstance(value, str) and value in special.choices
        return known or bool(special.fits(value))
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
    schema.LiteralType: lambda kind, value: type(value) in {str, int} and value in kind.values,
    schema.StrType: lambda kind, value: (
        isinstance(value, str) and len(value) >= (kind.min_length or 0)
    ),
    schema.BoolType: lambda _, value: isinstance(value, bool),
    schema.IntType: _is_whole,
    schema.FloatType: _is_number,
    schema.StructType: lambda kind, value: isinstance(value, kind.cls),
    schema.UnionType: lambda kind, value: any(_fits(*_swap(one, value)) for one in kind.types),
}


def _counted(kind: schema.VarTupleType, count: int) -> bool:
    """Returns whether a list of ``count`` items is neither too short nor too long."""
    return (kind.min_length or 0) <= count <= (kind.max_length or count)


def _converted(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> Any:
    if (special := extra.get("kind")) is not None:
        return special.convert(value)
    if isinstance(kind, schema.IntType):
        return int(value)
    return float(value) if isinstance(kind, schema.FloatType) else value


def _near(kind: schema.Type, value: Any, extra: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str):
        return None
    special = extra.get("kind")
    names = special.choices if special else getattr(kind, "values", ())
    spellings = {name: name for name in names if isinstance(name, str)}
    return did_you_mean(value, {**extra.get("spellings", {}), **spellings})


def named(kind: schema.Type, extra: Mapping[str, Any] | None = None) -> str:
    """Returns what a field of ``kind`` holds, as a person calls it."""
    if isinstance(kind, schema.Metadata):
        return named(*_bare(kind))
    if (special := (extra or {}).get("kind")) is not None:
        names = ", ".join(shown(name) for name in special.choices)
        return f"one of {names}, or {special.name}" if names else str(special.name)
    name = _NAMES.get(type(kind))
    return f"{_SINGULAR[type(kind)]}{_range(kind)}" if name is None else name(kind)


def _plural(kind: schema.Type) -> str:
    return _PLURAL[type(_bare(kind)[0])]


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
    schema.AnyType: "values",
    schema.UnionType: "values",
    schema.LiteralType: "names",
}
