"""Finds a recipe: a built-in one by name, a file, a table, or one made in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from edgeopt.boundary import decode_toml
from edgeopt.errors import InputError
from edgeopt.recipes.recipe import Recipe, parse_recipe, read_recipe
from edgeopt.recipes.steps import plain
from edgeopt.registry.suggest import canonical, did_you_mean

__all__ = ["builtin_recipes", "builtin_text", "find_recipe", "with_overrides"]

_KEY = re.compile(r"(\*|[a-z_]+|steps\[(\d+)\])\.([A-Za-z_.]+)")


@cache
def _texts() -> dict[str, str]:
    folder = resources.files("edgeopt.recipes") / "data"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text(encoding="utf-8") for f in files}


def builtin_recipes() -> dict[str, Recipe]:
    """Returns every built-in recipe by its name."""
    return {name: _parsed(name) for name in _texts()}


def builtin_text(name: str) -> str:
    """Returns the file of the built-in recipe ``name``, to begin one's own with.

    Raises:
        InputError: There is none of that name; the nearest are suggested.
    """
    for candidate, text in _texts().items():
        if canonical(candidate) == canonical(name):
            return text
    near = did_you_mean(name, list(_texts()))
    every = f"recipes: {', '.join(_texts())}; or the path of a .toml file"
    hint = f"{near} {every}" if near else every
    raise InputError(f'there is no recipe "{name}"', where="recipe", hint=hint)


def find_recipe(recipe: Any) -> Recipe:
    """Returns the recipe that is meant.

    Args:
        recipe: Name of a built-in one, path of a ``.toml``, what such a file holds, or a `Recipe`.

    Raises:
        InputError: There is none, or it is wrong.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return parse_recipe(dict(recipe))
    if not isinstance(recipe, (str, Path)):
        what = f"expected a name, a path or a Recipe, got a {type(recipe).__name__}"
        raise InputError(what, where="recipe")
    if isinstance(recipe, Path) or recipe.endswith(".toml") or "/" in recipe:
        return read_recipe(recipe)
    return _parsed(recipe)


def with_overrides(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """Returns ``recipe`` with other values.

    Args:
        recipe: The recipe.
        overrides: ``prune.macs``, ``steps[0].macs`` or ``*.epochs`` (wherever there is such an
            option) to a value; ``prune.finetune.epochs`` for what is inside.

    Raises:
        InputError: A key means nothing in this recipe, or a value does not fit.
    """
    if not overrides:
        return recipe
    table = plain(recipe)
    for key, value in overrides.items():
        _set(table["steps"], key, value)
    return parse_recipe(table, file=f"recipe {recipe.name} with overrides".replace("  ", " "))


def _set(steps: list[dict[str, Any]], key: str, value: Any) -> None:
    match = _KEY.fullmatch(key)
    if match is None:
        hint = "STEP.OPTION, steps[0].OPTION or *.OPTION, for example prune.macs"
        raise InputError("expected a step and its option", where=f'override "{key}"', hint=hint)
    who, number, path = match[1], match[2], match[3].split(".")
    everywhere = who == "*"
    targets = [
        step
        for place, step in enumerate(steps)
        if everywhere or step["step"] == who or (number is not None and int(number) == place)
    ]
    if not targets:
        names = ", ".join(step["step"] for step in steps)
        near = did_you_mean(who, [step["step"] for step in steps])
        hint = near or f"its steps: {names}"
        raise InputError("the recipe has no such step", where=f'override "{key}"', hint=hint)
    changes = [_put(step, path, value, only_there=everywhere) for step in targets]
    if not any(changes):
        where = f'override "{key}"'
        raise InputError("no step has such an option", where=where, hint="see `edgeopt recipes`")


def _put(table: dict[str, Any], path: list[str], value: Any, *, only_there: bool) -> bool:
    """Puts ``value`` at ``path``; with ``only_there`` where the option is, and inside of it too."""
    *outer, last = path
    inner = table
    for name in outer:
        if only_there and not isinstance(inner.get(name), dict):
            return False
        inner[name] = dict(inner.get(name) or {})
        inner = inner[name]
    success = False
    if not only_there or last in inner:
        inner[last] = value
        success = True
    if only_there and isinstance(table.get("finetune"), dict) and last in table["finetune"]:
        table["finetune"] = {**table["finetune"], last: value}
        success = True
    return success


@cache
def _parsed(name: str) -> Recipe:
    return parse_recipe(decode_toml(builtin_text(name).encode(), where=name), file=f"{name}.toml")
