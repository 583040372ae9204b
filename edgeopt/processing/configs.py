"""The settings of a processor of Hugging Face: of an object, a folder or a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeopt.boundary import decode_json, read_file
from edgeopt.errors import InputError

__all__ = ["class_name", "numbers", "read_json", "settings_of"]

_MAX_BYTES = 1 << 20


def settings_of(given: Any, what: str) -> tuple[str, dict[str, Any]]:
    """Returns the class's name, with ``Fast`` behind it where it works on tensors, and the settings.

    Args:
        given: The processor, its settings, or the path of its file or folder.
        what: What is expected, for an error.

    Raises:
        InputError: It is none.
    """
    if isinstance(given, (str, Path)):
        path = Path(given)
        settings = read_json(path / "preprocessor_config.json" if path.is_dir() else path)
    elif isinstance(given, Mapping):
        settings = dict(given)
    elif callable(getattr(given, "to_dict", None)):
        settings = dict(given.to_dict())
    else:
        raise InputError(f"expected {what}, got a {class_name(given)}", where="preprocess")
    name = settings.get("image_processor_type") or settings.get("feature_extractor_type")
    if isinstance(given, (str, Path, Mapping)):
        return str(name or ""), settings
    is_fast = any("Torchvision" in base.__name__ for base in type(given).__mro__)
    return type(given).__name__ + ("Fast" if is_fast else ""), settings


def read_json(path: Path) -> dict[str, Any]:
    """Returns the table that a file of JSON holds.

    Raises:
        InputError: There is no such file, or it is damaged.
    """
    text = read_file(path, most=_MAX_BYTES, error=InputError)
    table: dict[str, Any] = decode_json(text, dict[str, Any], where=str(path), error=InputError)
    return table


def class_name(given: Any) -> str:
    """Returns the class of an object with its module, as a person finds it."""
    return f"{type(given).__module__}.{type(given).__qualname__}"


def numbers(values: Any) -> tuple[float, ...]:
    """Returns one number or several, of a list or a tensor, to the digits that float32 has."""
    values = values.tolist() if hasattr(values, "tolist") else values
    several = values if isinstance(values, (list, tuple)) else [values]
    return tuple(round(float(value), 7) for value in several)
