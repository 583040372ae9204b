"""What all options are: frozen, and checked wherever they are made."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import msgspec.inspect

from edgeopt.errors import ConfigError
from edgeopt.registry.schema import Problem, raise_any, take, unknown_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Options", "all_options", "field_help", "options_of", "refuse", "split"]

F = TypeVar("F", bound="Callable[..., Any]")
A = TypeVar("A", bound="Options")
B = TypeVar("B", bound="Options")


class _Checked(msgspec.StructMeta):
    """Says in a person's words which keyword there is not; msgspec's own words are Python's."""

    if not TYPE_CHECKING:  # a type checker knows the constructor from the fields

        def __call__(cls, *given: Any, **named: Any) -> Any:  # noqa: N805 (a metaclass)
            fields = cls.__struct_fields__
            wrong = [unknown_field(name, fields) for name in named if name not in fields]
            if given:
                what = f"takes its options by name, got {len(given)} without one"
                wrong.append(Problem(cls.__name__, what, f"its fields: {', '.join(fields)}"))
            missing = set(_required(cls)) - set(named)
            wrong += [Problem(name, "is needed") for name in fields if name in missing]
            refuse(wrong)
            return super().__call__(**named)


class Options(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, metaclass=_Checked
):
    """The base of all option types.

    A field's annotation says what it may be (``Annotated[int, Meta(ge=1)]``), its default what it is
    where nothing is said, and the entry under *Attributes* what it means. The Python API, the command
    line, recipes and the search read these three; none repeats them.

    Every way to make one goes through `__post_init__`: the constructor, `from_dict`, `replace`, and
    msgspec's own conversion. All accept and refuse the same.
    """

    def __post_init__(self) -> None:
        values, wrong = take(type(self), {n: getattr(self, n) for n in self.__struct_fields__})
        refuse(wrong)
        for name, value in values.items():
            msgspec.structs.force_setattr(self, name, value)
        refuse(self.conflicts())

    def conflicts(self) -> Iterable[Problem]:
        """Returns what is wrong between fields, each of which is right by itself."""
        return ()

    @classmethod
    def from_dict(cls, table: Mapping[str, Any] | Self | None, *, where: str = "") -> Self:
        """Returns the options that ``table`` describes, a file's content for example.

        Args:
            table: Field name to value; options as they are; None for the defaults.
            where: How errors call the table; they add the field.

        Raises:
            ConfigError: A field is unknown or wrong; all of them are named.
        """
        if isinstance(table, cls):
            return table
        values, wrong = take(cls, {} if table is None else table)
        if not wrong:
            try:
                return cls(**values)
            except ConfigError as error:
                wrong = list(error.problems)
        refuse([one._replace(path=".".join(p for p in (where, one.path) if p)) for one in wrong])
        raise AssertionError  # there is always a problem here

    def replace(self, **changes: Any) -> Self:
        """Returns the same options but for ``changes``, checked.

        Raises:
            ConfigError: A field is unknown or wrong.
        """
        return type(self)(**{**self.to_fields(), **changes})

    def to_fields(self) -> dict[str, Any]:
        """Returns field name to value, as the constructor takes them."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def changes(self) -> dict[str, Any]:
        """Returns the fields that differ from their defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in msgspec.structs.fields(self)
            if not _is_default(field, getattr(self, field.name))
        }


def all_options() -> Iterator[type[Options]]:
    """Yields every option type that is defined in a module which has been imported."""
    stack = [Options]
    while stack:
        for kind in stack.pop().__subclasses__():
            stack.append(kind)
            yield kind


@cache
def field_help(kind: type[Options]) -> dict[str, str]:
    """Returns field to what it means: its entry under *Attributes*, those of its bases too."""
    texts = {f.name: _description(f) for f in _struct_fields(kind)}
    for base in reversed(kind.__mro__):
        text = inspect.cleandoc(base.__doc__ or "") if issubclass(base, Options) else ""
        _, _, rows = text.partition("Attributes:\n")
        name = ""
        for line in rows.splitlines():
            if not line.startswith("    "):
                break
            entry, mark, words = line.strip().partition(": ")
            if mark and not line.startswith("     ") and entry.isidentifier():
                name, texts[entry] = entry, words
            else:
                texts[name] = f"{texts[name]} {line.strip()}"
    return {name: texts[name] for name in kind.__struct_fields__}


def _struct_fields(kind: type[Options]) -> tuple[msgspec.inspect.Field, ...]:
    info = msgspec.inspect.type_info(kind)
    return info.fields if isinstance(info, msgspec.inspect.StructType) else ()


def _description(field: msgspec.inspect.Field) -> str:
    """Returns what the type itself says of a field: options that several types share say it there."""
    kind = field.type
    schema = kind.extra_json_schema if isinstance(kind, msgspec.inspect.Metadata) else None
    return str((schema or {}).get("description", ""))


@cache
def _required(kind: type[Options]) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(kind) if field.required)


def _is_default(field: msgspec.structs.FieldInfo, value: Any) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return bool(value == field.default_factory())
    return value is field.default or (
        isinstance(field.default, (str, int, float, tuple, msgspec.Struct))
        and type(value) is type(field.default)
        and value == field.default
    )


def refuse(wrong: Iterable[Problem]) -> None:
    """Raises one error for all that is wrong; does nothing where nothing is.

    Raises:
        ConfigError: Something is wrong; ``problems`` has each.
    """
    raise_any(list(wrong), "", ConfigError)


def options_of(*kinds: type[Options]) -> Callable[[F], F]:
    """Returns what gives a function with ``**options`` the signature that its option types declare.

    Args:
        *kinds: The types whose fields the function takes by keyword; a field that several have is
            taken once.
    """
    fields = {f.name: f for kind in kinds for f in msgspec.structs.fields(kind)}

    def derive(function: F) -> F:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        names = {p.name for p in own}
        words = {n: w for kind in kinds for base in kind.__mro__ for n, w in _words(base).items()}
        more = [_parameter(f, words[name]) for name, f in fields.items() if name not in names]
        function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        return function

    return derive


def split(given: Mapping[str, Any], first: type[A], second: type[B]) -> tuple[A, B]:
    """Returns one of each type, made of those of the options ``given`` that are its own.

    Raises:
        ConfigError: An option is none of theirs, or is wrong.
    """
    names = tuple(dict.fromkeys((*first.__struct_fields__, *second.__struct_fields__)))
    refuse([unknown_field(name, names) for name in given if name not in names])
    return _of(first, given), _of(second, given)


def _of(kind: type[A], given: Mapping[str, Any]) -> A:
    return kind(**{name: v for name, v in given.items() if name in kind.__struct_fields__})


def _words(kind: type) -> dict[str, Any]:
    """Returns field to its annotation as it is written."""
    return inspect.get_annotations(kind)


def _parameter(field: msgspec.structs.FieldInfo, annotation: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.required else field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=annotation)
