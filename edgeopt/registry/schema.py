"""From values that a person wrote to the fields of a Struct; what is wrong, in a person's words.

msgspec knows the schema (types, bounds, choices), but a bare constructor does not validate, and a
conversion stops at the first wrong field and names types as Python does. This walks the same schema,
finds every wrong field, and converts the rest. Descriptors, recipes and all options go through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import inspect as schema

from edgeopt.errors import ConfigError, EdgeoptError
from edgeopt.registry.fitting import chosen, converted, counted, fits, listed, without_percent
from edgeopt.registry.suggest import did_you_mean
from edgeopt.registry.words import named, near, plain_type, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Kind", "Problem", "problems", "raise_any", "shown", "take", "unknown_field"]


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


@cache
def _info(struct: type) -> schema.StructType:
    kind = schema.type_info(struct)
    if not isinstance(kind, schema.StructType):
        raise TypeError(f"{struct} is no Struct")
    return kind


def _take(kind: schema.Type, value: Any, path: str, wrong: list[Problem]) -> Any:
    """Returns ``value`` as a field of ``kind`` holds it; adds to ``wrong`` what does not fit."""
    value = without_percent(kind, value)
    kind, extra = chosen(kind, value)
    if isinstance(kind, schema.StructType) and isinstance(value, Mapping):
        return _struct(kind, value, path, wrong)
    if (
        isinstance(kind, schema.VarTupleType)
        and (elements := listed(kind, value, extra)) is not None
    ):
        if not counted(kind, len(elements)):
            wrong.append(Problem(path, f"expected {named(kind, extra)}, got {shown(value)}"))
        items = [_take(kind.item_type, v, f"{path}[{n}]", wrong) for n, v in enumerate(elements)]
        return tuple(items)
    if isinstance(kind, schema.DictType) and isinstance(value, Mapping):
        return {k: _entry(kind, k, v, path, wrong) for k, v in value.items()}
    if not fits(kind, value, extra):
        table = isinstance(kind, schema.StructType) and isinstance(value, msgspec.Struct)
        name = f"a {kind.cls.__name__}" if table else named(kind, extra)  # type: ignore[attr-defined]
        what = f"expected {name}, got {shown(value)}"
        wrong.append(Problem(path, what, near(kind, value, extra)))
        return value
    return _or_problems(lambda: converted(kind, value, extra), value, path, wrong)


def _or_problems(make: Callable[[], Any], value: Any, path: str, wrong: list[Problem]) -> Any:
    """Returns what ``make`` does; where it raises, adds what is wrong and returns ``value``."""
    try:
        return make()
    except EdgeoptError as error:
        own = (Problem(error.where or "", error.what, error.hint),)
        inner = getattr(error, "problems", ()) or own
        wrong += [one._replace(path=f"{path}.{one.path}".strip(".")) for one in inner]
        return value


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
    values = {}
    for name, field in fields.items():
        if name in value:
            values[name] = _take(field.type, value[name], prefix + name, wrong)
        elif field.required:
            wrong.append(Problem(prefix + name, f"expected {named(field.type)}, got nothing"))
    for name in value:
        if name not in fields and name != kind.tag_field:
            problem = unknown_field(str(name), list(fields))
            wrong.append(problem._replace(path=prefix + problem.path))
    return values


def _entry(kind: schema.DictType, key: Any, value: Any, path: str, wrong: list[Problem]) -> Any:
    """Returns one entry of a table whose keys are free, such as ``sources``."""
    if not fits(plain_type(kind.key_type)[0], key, {}):
        wrong.append(Problem(path, f"expected {named(kind.key_type)} as a key, got {shown(key)}"))
        return value
    inside: list[Problem] = []
    entry = _take(kind.value_type, value, f'{path}."{key}"', inside)
    inner = next(iter(value), None) if isinstance(value, Mapping) else None
    dotted = isinstance(plain_type(kind.value_type)[0], schema.StrType) and inner
    hint = f'put the key in quotes: "{key}.{inner}" = …' if dotted else None
    wrong += [one._replace(hint=hint or one.hint) for one in inside]
    return entry
