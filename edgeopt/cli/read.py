"""What a flag's text becomes, for fields that hold more than text and numbers."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeopt.errors import InputError
from edgeopt.options import QuantizationConfig

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SPECIAL", "Form", "settings"]


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
        choices: Names that a shell may offer.
    """

    type: Any
    read: Callable[[Any], Any]
    later: bool = False
    note: str = ""
    choices: tuple[str, ...] = ()


def described(given: str, words: tuple[str, ...]) -> Any:
    """Returns what a file says of inputs or outputs; one of ``words`` stays as it is.

    A ``.toml`` or ``.json`` holds fields of the option type. Two files of Hugging Face may be passed as
    they are: ``preprocessor_config.json`` and ``tokenizer.json``.

    Args:
        given: The word, or the path of the file.
        words: What may be said instead of a file.

    Raises:
        InputError: There is no such file, or it holds something else.
    """
    from edgeopt.boundary import decode_json, decode_toml, read_file  # noqa: PLC0415 (only here)
    from edgeopt.processing import audio_fields, picture_fields, text_fields  # noqa: PLC0415

    path = Path(given)
    if given in words and not path.is_file():
        return given
    if path.is_dir() or path.name == "tokenizer.json":
        return {"kind": "text", **text_fields(path)}
    content = read_file(path, most=1 << 20, error=InputError)
    is_toml = path.suffix == ".toml"
    decode = decode_toml if is_toml else functools.partial(decode_json, kind=dict[str, Any])
    table: dict[str, Any] = decode(content, where=given, error=InputError)
    if "image_processor_type" in table:
        return picture_fields(table)
    if "feature_extractor_type" in table and "sampling_rate" in table:
        return {"kind": "audio", **audio_fields(table)}
    if table.get("kind") == "text" and not Path(str(table.get("tokenizer", ""))).is_absolute():
        table["tokenizer"] = str(path.parent / str(table.get("tokenizer", "tokenizer.json")))
    return table


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
    "names": Form(str, str, note="A file of them, one a line."),
    "a QuantizationConfig or its fields": Form(
        list[str],
        functools.partial(settings, where="--set"),
        note=f"NAME=VALUE, may be repeated: {', '.join(QuantizationConfig.__struct_fields__)}.",
    ),
    "a Preprocess, AudioPreprocess or TextPreprocess, or its fields": Form(
        str,
        functools.partial(described, words=("imagenet",)),
        note="A .toml or .json of its fields, a preprocessor_config.json, or imagenet.",
    ),
    "a Classification, Detection, Segmentation or Embedding, or its fields and kind": Form(
        str,
        functools.partial(described, words=("classification", "segmentation", "embedding")),
        note="A .toml or .json of kind and fields, or classification, segmentation, embedding.",
    ),
    "shares, true, or options of prune with ratios among them": Form(
        list[float], list, note="One share; may be repeated."
    ),
}
"""Name of a `Kind` to how it is typed; a kind that is not here cannot be typed at all."""
