"""A recipe: which steps, in which order, with what. The same in Python and in TOML."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edgeopt.errors import ConfigError, InputError
from edgeopt.options import Options
from edgeopt.recipes.recipe_errors import wrong_fields
from edgeopt.recipes.steps import AnyStep, plain, step_name
from edgeopt.registry.schema import raise_any, take
from edgeopt.registry.toml_file import read_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FORMATS", "Recipe", "parse_recipe", "read_recipe"]

FORMATS = (1,)
"""Versions of the schema that this edgeopt reads."""


class Recipe(Options, frozen=True):
    """An ordered list of compression steps.

    Attributes:
        steps: The steps, first to last: those on the module, then those on the Program.
        name: How a person calls it.
        description: What it is for.
        format: The version of the schema.
    """

    steps: tuple[AnyStep, ...]
    name: str = ""
    description: str = ""
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        raise_any(wrong_fields(plain(self)), f"recipe {self.name}".strip(), ConfigError)

    @classmethod
    def from_dict(
        cls, table: Mapping[str, Any] | Recipe | None, *, where: str = "recipe"
    ) -> Recipe:
        """Returns the recipe that ``table`` (the content of a TOML file) describes."""
        return table if isinstance(table, Recipe) else parse_recipe(dict(table or {}), file=where)

    def to_dict(self) -> dict[str, Any]:
        """Returns the recipe as a file holds it: what is as it is anyway is left out."""
        head = {"format": self.format, "name": self.name, "description": self.description}
        filled: dict[str, Any] = {k: v for k, v in head.items() if v}
        return {**filled, "steps": [_plain(step) for step in self.steps]}

    def to_toml(self) -> str:
        """Returns the recipe as the text of a TOML file."""
        table = self.to_dict()
        steps = table.pop("steps")
        lines = [f"{key} = {_toml(value)}" for key, value in table.items()]
        for step in steps:
            lines += ["", "[[steps]]", *(f"{_key(k)} = {_toml(v)}" for k, v in step.items())]
        return "\n".join(lines) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the steps; name and description do not count."""
        text = json.dumps(plain(self.steps), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def makes_integers(self) -> bool:
        """Whether a step of it quantizes."""
        return any(step.level == "program" for step in self.steps)


def parse_recipe(table: Any, *, file: str = "recipe") -> Recipe:
    """Returns the recipe that ``table`` (the content of a TOML file) describes.

    Raises:
        InputError: A field is unknown or wrong; all of them are named.
    """
    raise_any(wrong_fields(table), file, ConfigError)
    return Recipe(**take(Recipe, table)[0])


def read_recipe(path: Path | str) -> Recipe:
    """Returns the recipe in the TOML file at ``path``.

    Raises:
        InputError: It cannot be read, is not TOML, or a field is wrong.
    """
    path = Path(path)
    table = read_toml(path, InputError)
    recipe = parse_recipe(table, file=path.name)
    return recipe if recipe.name else msgspec.structs.replace(recipe, name=path.stem)


def _plain(step: AnyStep) -> dict[str, Any]:
    return {"step": step_name(step), **_changes(step)}


def _changes(options: Options) -> dict[str, Any]:
    """Returns what is not as it is anyway, in options within options too."""
    return {
        name: _changes(value) if isinstance(value, Options) else plain(value)
        for name, value in options.changes().items()
    }


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
