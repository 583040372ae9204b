"""The command line's options, made from the option types: name, help, bounds and default of each field."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_type_hints

import msgspec
import typer
from msgspec import inspect as schema

from edgeopt.cli.complete import COMPLETIONS, partial_names
from edgeopt.cli.read import SPECIAL, Form, settings
from edgeopt.errors import ConfigError
from edgeopt.options import Options, field_help
from edgeopt.registry.schema import raise_any
from edgeopt.registry.words import bare, bounds, is_share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Answers", "Source", "flag_names", "taking"]

SHORT = {
    "output": "-o",
    "precision": "-p",
    "backend": "-b",
    "device": "-d",
    "calibration-data": "-c",
    "set": "-s",
}
"""Name of a flag to its short form."""


class Source(NamedTuple):
    """Which fields of an option type a command takes, and how their flags are called.

    Attributes:
        kind: The option type.
        only: Its fields that are taken; all where empty.
        without: Its fields that are not taken.
        under: Where its fields go in `Answers`; at the top where empty.
        names: Path of a field (``checks.samples``), or of a group with a dot at the end
            (``tuning.``), to the flag, or the beginning of the flags.
    """

    kind: type[Options]
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    under: str = ""
    names: Mapping[str, str] = {}


@dataclass(frozen=True)
class Answers:
    """What was typed.

    Attributes:
        plain: Field, or group and in it field, to a value.
        later: The same, to what loads the value: a module of the user's is imported.
    """

    plain: dict[str, Any] = field(default_factory=dict)
    later: dict[str, Any] = field(default_factory=dict)

    def loaded(self) -> dict[str, Any]:
        """Returns all values, those that are loaded included."""
        merged = {k: dict(v) if isinstance(v, dict) else v for k, v in self.plain.items()}
        for name, value in self.later.items():
            if isinstance(value, dict):
                merged.setdefault(name, {}).update({k: load() for k, load in value.items()})
            else:
                merged[name] = value()
        return merged


@dataclass(frozen=True)
class _Flag:
    """One field as a flag."""

    path: tuple[str, ...]
    name: str
    help: str
    default: str
    form: Form

    @property
    def key(self) -> str:
        return self.name.replace("-", "_")

    @property
    def panel(self) -> str | None:
        """The heading in the help: the group."""
        return self.path[0].capitalize() if len(self.path) > 1 else None

    def parameter(self) -> inspect.Parameter:
        usual = f" Default: {self.default}." if self.default else ""
        names = self.form.choices
        option = typer.Option(
            *_decomposed(self),
            autocompletion=partial_names(names) if names else COMPLETIONS.get(self.name),
            help=_literal(f"{self.help}{usual}"),
            show_default=False,
            rich_help_panel=self.panel,
        )
        return inspect.Parameter(
            self.key,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[self.form.type | None, option],
        )


def _literal(text: str) -> str:
    r"""Returns ``text`` as typer's help shows it: ``edgeopt[tvm]`` would be taken for rich's markup and vanish."""
    return text.replace("[", r"\[")


def taking(*sources: Source) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns what gives a command the flags of ``sources``; they come to it as ``answers``."""
    flags = [flag for source in sources for flag in _flags(source)]

    def derive(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            typed = {flag: given.pop(flag.key) for flag in flags}
            try:
                command(**given, answers=_answers(typed))
            except ConfigError as error:
                raise _in_flags(error, flags) from error

        hints = get_type_hints(command, include_extras=True)
        own = inspect.signature(command).parameters.values()
        parameters = [p.replace(annotation=hints[p.name]) for p in own if p.name != "answers"]
        at = next((n for n, p in enumerate(parameters) if p.name in {"json", "quiet"}), None)
        at = len(parameters) if at is None else at
        parameters[at:at] = [flag.parameter() for flag in flags]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        del run.__wrapped__
        return run

    return derive


def _answers(typed: Mapping[_Flag, Any]) -> Answers:
    answers = Answers()
    for flag, value in typed.items():
        if value is None or value == []:
            continue
        place = answers.later if flag.form.later else answers.plain
        for group in flag.path[:-1]:
            place = place.setdefault(group, {})
        read = functools.partial(flag.form.read, value)
        place[flag.path[-1]] = read if flag.form.later else read()
    return answers


def _in_flags(error: ConfigError, flags: list[_Flag]) -> ConfigError:
    """Returns ``error`` with flags for the paths of fields."""
    names = {".".join(flag.path): f"--{flag.name}" for flag in flags}
    paths = sorted(names, key=len, reverse=True)
    wrong = []
    for one in error.problems:
        path = next(
            (p for p in paths if one.path == p or one.path.startswith((f"{p}.", f"{p}["))), ""
        )
        wrong.append(one._replace(path=names[path] + one.path[len(path) :]) if path else one)
    try:
        raise_any(wrong, "", ConfigError)
    except ConfigError as told:
        return told
    return error


def flag_names(source: Source) -> dict[str, str]:
    """Returns field to its flag, without dashes."""
    return {flag.path[-1]: flag.name for flag in _flags(source)}


def _flags(source: Source) -> list[_Flag]:
    top = (source.under,) if source.under else ()
    result = []
    for one, usual, text in _fields(source.kind):
        is_included = not source.only or one.name in source.only
        if is_included and one.name not in source.without:
            result += _of_field(one.type, usual, text, (*top, one.name), source.names)
    return result


def _fields(kind: type[Options]) -> list[tuple[schema.Field, Any, str]]:
    info = schema.type_info(kind)
    words = field_help(kind)
    fields = zip(info.fields, msgspec.structs.fields(kind), strict=True)  # type: ignore[attr-defined]
    return [(one, getattr(real, "default", None), words[one.name]) for one, real in fields]


def _of_field(
    kind: schema.Type, usual: Any, text: str, path: tuple[str, ...], names: Mapping[str, str]
) -> list[_Flag]:
    """Returns the flags of one field: those of its fields where it is a group, none where no text says it."""
    kind, extra = bare(kind)
    if isinstance(kind, schema.StructType) and isinstance(usual, Options):
        return [
            flag
            for one, _, words in _fields(type(usual))
            for flag in _of_field(
                one.type, getattr(usual, one.name), words, (*path, one.name), names
            )
        ]
    form = _form(kind, extra, path, names)
    if form is None:
        return []
    words = _first_sentence(text) + _bounds(kind, extra, text) + (form.note and f" {form.note}")
    return [_Flag(path, _name(path, names), words, _default(usual), form)]


def _bounds(kind: schema.Type, extra: Mapping[str, Any], text: str) -> str:
    choices = getattr(kind, "values", ())
    return "" if choices and all(str(one) in text for one in choices) else bounds(kind, extra)


def _name(path: tuple[str, ...], names: Mapping[str, str]) -> str:
    for place in range(len(path) - 1, 0, -1):
        group = ".".join(path[:place]) + "."
        if group in names and ".".join(path) not in names:
            return names[group] + path[-1].replace("_", "-")
    return names.get(".".join(path), path[-1].replace("_", "-"))


def _form(
    kind: schema.Type, extra: Mapping[str, Any], path: tuple[str, ...], names: Mapping[str, str]
) -> Form | None:
    """Returns how a field is typed; None where it cannot be."""
    special = extra.get("kind")
    if special is not None:
        usual = Form(str, _as_it_is) if special.choices else None
        return SPECIAL.get(special.name, usual)
    if isinstance(kind, schema.DictType):
        flag = f"--{_name(path, names)}"
        return Form(
            list[str], functools.partial(settings, where=flag), note="NAME=VALUE, may be repeated."
        )
    if isinstance(kind, schema.VarTupleType):
        item = _PYTHON.get(type(bare(kind.item_type)[0]))
        return None if item is None else Form(list[item], list, note="May be repeated.")  # type: ignore[valid-type]
    python = _PYTHON.get(type(kind))
    if is_share(kind, extra):
        return Form(str, _number)
    choices = tuple(map(str, getattr(kind, "values", ())))
    return None if python is None else Form(python, _as_it_is, choices=choices)


def _number(text: str) -> Any:
    """Returns a number; text that is none stays, ``1%`` among it: the option's type tells what it is."""
    try:
        return float(text)
    except ValueError:
        return text


def _as_it_is(value: Any) -> Any:
    return value


_PYTHON: dict[type[schema.Type], type] = {
    schema.StrType: str,
    schema.LiteralType: str,
    schema.IntType: int,
    schema.FloatType: float,
    schema.BoolType: bool,
}


def _decomposed(flag: _Flag) -> list[str]:
    short = [SHORT[flag.name]] if flag.name in SHORT else []
    if flag.form.type is bool:
        return [f"--{flag.name}/--no-{flag.name}"]
    return [f"--{flag.name}", *short]


def _first_sentence(text: str) -> str:
    """Returns the first sentence of a docstring's entry, without its marks."""
    words = text.replace("``", "").replace("`", "").split(". ")[0]
    return words.rstrip(".") + "."


def _default(usual: Any) -> str:
    if usual is True or usual is False:
        return "yes" if usual else "no"
    return str(usual) if isinstance(usual, (str, int, float)) and usual != "" else ""
