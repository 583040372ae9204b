"""What a flag's text becomes, for fields that hold more than text and numbers."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.errors import InputError
from edgeopt.options import QuantizationConfig

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SPECIAL", "Form", "lines", "settings"]


def settings(given: list[str], where: str) -> dict[str, Any]:
    """Returns ``NAME=VALUE`` settings as a dict; a value may be JSON, else it is text.

    Raises:
        InputError: One has no ``=``.
    """
    import json  # noqa: PLC0415 (only here)

    values: dict[str, Any] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise InputError(f"{text!r}: expected NAME=VALUE", where=where)
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def lines(given: str) -> tuple[str, ...]:
    """Returns the lines of a file.

    Raises:
        InputError: It cannot be read as text.
    """
    try:
        text = Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=given) from error
    return tuple(line.strip() for line in text.splitlines())


def _function(given: str) -> Any:
    from edgeopt.cli.sources import load_function  # noqa: PLC0415 (a user's module may be heavy)

    return load_function(given)


def _data(given: str) -> Any:
    from edgeopt.cli.sources import load_data  # noqa: PLC0415 (as _function)

    return load_data(given)


def _module(given: str) -> Any:
    from edgeopt.cli.sources import load_model  # noqa: PLC0415 (as _function)

    return load_model(given).model


class Form(NamedTuple):
    """How a field is typed.

    Attributes:
        type: What typer reads.
        read: From that to the field's value.
        later: Whether reading it imports a module of the user's.
        note: What a person types, after the field's own help.
    """

    type: Any
    read: Callable[[Any], Any]
    later: bool = False
    note: str = ""


SPECIAL: dict[str, Form] = {
    "a function": Form(str, _function, later=True, note="Typed as package.module:function."),
    "an iterable of inputs": Form(
        str,
        _data,
        later=True,
        note="An .npz or .npy file, a folder of them or of pictures, or package.module:function.",
    ),
    "a module": Form(
        str, _module, later=True, note="package.module:function that returns it, or a .pt2 file."
    ),
    "a path": Form(str, str),
    "a device": Form(str, str),
    "names": Form(str, lines, note="A file of them, one a line."),
    "a QuantizationConfig or its fields": Form(
        list[str],
        functools.partial(settings, where="--set"),
        note=f"NAME=VALUE, may be repeated: {', '.join(QuantizationConfig.__struct_fields__)}.",
    ),
    "shares, true, or options of prune with ratios among them": Form(
        list[float], list, note="One share; may be repeated."
    ),
}
"""Name of a `Kind` to how it is typed; a kind that is not here cannot be typed at all."""
