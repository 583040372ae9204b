"""What is wrong with the fields of a descriptor, in a person's words.

msgspec knows the schema (the Structs in `edgeopt.contracts.target`), but stops at the first wrong
field and names types as Python does. This walks the same schema and finds every one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from msgspec import inspect as schema

from edgeopt.registry.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgeopt.errors import EdgeoptError

__all__ = ["Problem", "problems", "raise_any", "shown"]


_LONGEST = 60


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


def problems(struct: type, value: object) -> list[Problem]:
    """Returns every field of ``value`` that does not fit ``struct``, in the schema's order.

    Args:
        struct: A msgspec Struct.
        value: What a TOML file holds.
    """
    return list(_walk(schema.type_info(struct), value, ""))


def raise_any(found: Sequence[Problem], file: str, error_type: type[EdgeoptError]) -> None:
    """Raises one error for all of ``found``; the last one's hint is the error's.

    Args:
        found: What is wrong; nothing is raised where it is empty.
        file: How the error calls the file.
        error_type: What is raised.

    Raises:
        EdgeoptError: There is a problem; of the type ``error_type``.
    """
    if not found:
        return
    lines = []
    for problem in found:
        lines.append(f"{file}: {problem.path}: {problem.what}")
        lines += [f"  -> {problem.hint}"] if problem.hint else []
    hint = found[-1].hint
    where = f"{file}: {found[0].path}"
    text = "\n".join(lines[:-1] if hint else lines)
    raise error_type(text.removeprefix(f"{where}: "), where=where, hint=hint)


def shown(value: object) -> str:
    """Returns ``value`` as an error shows it: strings in quotes, long ones cut."""
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _walk(kind: schema.Type, value: object, path: str) -> Iterator[Problem]:
    kind = _chosen(kind, value)
    if isinstance(kind, schema.StructType) and isinstance(value, dict):
        yield from _struct(kind, value, path)
    elif isinstance(kind, schema.VarTupleType) and isinstance(value, list):
        for place, item in enumerate(value):
            yield from _walk(kind.item_type, item, f"{path}[{place}]")
    elif isinstance(kind, schema.DictType) and isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(kind.value_type, key, item, path)
    elif not _fits(kind, value):
        yield Problem(path, f"expected {_named(kind)}, got {shown(value)}", _near(kind, value))


def _chosen(kind: schema.Type, value: object) -> schema.Type:
    """Returns the member of a union that ``value`` is most like; what is no union as it is."""
    if not isinstance(kind, schema.UnionType):
        return kind
    members = [one for one in kind.types if not isinstance(one, schema.NoneType)]
    if value is None and len(members) < len(kind.types):
        return schema.AnyType()
    if len(members) == 1:
        return members[0]
    tables = (schema.StructType, schema.DictType)
    fitting = [one for one in members if _fits(one, value)]
    likely = [one for one in members if isinstance(one, tables) and isinstance(value, dict)]
    return next(iter([*fitting, *likely]), schema.UnionType(tuple(members)))


def _struct(kind: schema.StructType, value: dict[str, object], path: str) -> Iterator[Problem]:
    prefix = f"{path}." if path else ""
    fields = {field.name: field for field in kind.fields}
    for name, field in fields.items():
        if name in value:
            yield from _walk(field.type, value[name], prefix + name)
        elif field.required:
            yield Problem(prefix + name, f"expected {_named(field.type)}, got nothing")
    for name in value:
        if name not in fields:
            what = f'expected one of the fields {", ".join(fields)}, got "{name}"'
            yield Problem(prefix + name, what, did_you_mean(name, list(fields)))


def _entry(kind: schema.Type, key: str, value: object, path: str) -> Iterator[Problem]:
    """Yields what is wrong with one entry of a table whose keys are free, such as ``sources``."""
    for problem in _walk(kind, value, f'{path}."{key}"'):
        inner = next(iter(value), None) if isinstance(value, dict) else None
        hint = f'put the key in quotes: "{key}.{inner}" = …' if inner else problem.hint
        yield problem._replace(hint=hint)


def _fits(kind: schema.Type, value: object) -> bool:
    if isinstance(kind, schema.LiteralType):
        return type(value) in {str, int} and value in kind.values
    if isinstance(kind, schema.StrType):
        return isinstance(value, str)
    if isinstance(kind, schema.AnyType):
        return True
    if isinstance(value, bool):
        return isinstance(kind, schema.BoolType)
    if isinstance(kind, schema.IntType):
        return isinstance(value, int)
    return isinstance(kind, schema.FloatType) and isinstance(value, int | float)


def _near(kind: schema.Type, value: object) -> str | None:
    if isinstance(kind, schema.LiteralType) and isinstance(value, str):
        return did_you_mean(value, [name for name in kind.values if isinstance(name, str)])
    return None


def _named(kind: schema.Type) -> str:
    if isinstance(kind, schema.LiteralType):
        return "one of " + ", ".join(shown(value) for value in kind.values)
    if isinstance(kind, schema.UnionType):
        return " or ".join(_named(one) for one in kind.types)
    if isinstance(kind, schema.VarTupleType):
        return f"a list of {_PLURAL[type(kind.item_type)]}"
    if isinstance(kind, schema.DictType):
        return f"a table of {_PLURAL[type(kind.value_type)]}"
    return _SINGULAR[type(kind)]


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
}
