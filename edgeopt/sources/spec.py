"""A model's name as users write it: ``SOURCE:NAME[,OPTION=VALUE…]``."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from edgeopt.errors import ConfigError, InputError
from edgeopt.options.source import SourceOptions
from edgeopt.registry.schema import Problem, raise_any, unknown_field

__all__ = ["Spec", "parse"]

_OPTION = re.compile(r",([A-Za-z_]+)=")
_SIZE = re.compile(r"(\d+)(?:x(\d+))?")


class Spec(NamedTuple):
    """What a name says.

    Attributes:
        text: As it was written.
        source: The library: ``timm`` …
        name: The model's name there, or a path.
        options: How it is built.
    """

    text: str
    source: str
    name: str
    options: SourceOptions


def parse(text: str, given: dict[str, Any]) -> Spec:
    """Returns what ``text`` says.

    Args:
        text: ``timm:resnet18``, ``timm:resnet18,weights=random,size=160x224``.
        given: Further options by name; they win.

    Raises:
        InputError: There is no name.
        ConfigError: An option is unknown or wrong.
    """
    source, _, rest = text.partition(":")
    name, *parts = _OPTION.split(rest)
    if not name.strip():
        raise InputError("expected a name behind the colon", where=text, hint=f"{source}:NAME")
    typed = dict(zip(parts[::2], parts[1::2], strict=True))
    unknown = [_problem(key) for key in typed if key not in SourceOptions.__struct_fields__]
    raise_any(unknown, text, ConfigError)
    fields = {key: _value(key, value, text) for key, value in typed.items()}
    return Spec(text, source, name, SourceOptions.from_dict({**fields, **given}, where=text))


def _problem(key: str) -> Problem:
    return unknown_field(key, SourceOptions.__struct_fields__)


def _value(key: str, value: str, text: str) -> Any:
    if key == "weights":
        return value
    sides = _SIZE.fullmatch(value.strip())
    if sides is None or (sides[2] and key != "size"):
        form = "a number, or HEIGHTxWIDTH" if key == "size" else "a number"
        raise ConfigError(f"{key}: expected {form}, got {value!r}"[:200], where=text)
    numbers = tuple(int(side[:9]) for side in sides.groups() if side)
    return numbers if key == "size" else numbers[0]
