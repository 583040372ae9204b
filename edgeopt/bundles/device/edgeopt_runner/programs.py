"""The programs of a bundle: each as a manifest of its own."""

from __future__ import annotations

from typing import Any

from .bundle import USAGE, Stop

__all__ = ["face", "interface", "interfaces", "of_method", "program_view", "program_views"]


def program_views(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the manifest as each of its programs has it: the fields of the first are those of the program.

    ``place`` is its number, from 0 on.
    """
    every = [{}, *manifest["variants"]]
    return [{**manifest, **own, "place": place} for place, own in enumerate(every)]


def program_view(manifest: dict[str, Any], number: int) -> dict[str, Any]:
    """Returns the manifest with program ``number`` (from 1 on) alone, whose state is passed in and given back."""
    views = program_views(manifest)
    if number > len(views):
        raise Stop(USAGE, f"there is no program {number}", f"there are {len(views)}: see --info")
    own = _described(views[number - 1], manifest)
    return {**own, "variants": [], "reads": {}, "writes": {}}


def of_method(views: list[dict[str, Any]], method: str) -> list[dict[str, Any]]:
    """Returns the programs of a method; of the first where it is empty."""
    name = method or views[0]["method"]
    programs = [view for view in views if view["method"] == name]
    if not programs:
        names = ", ".join(dict.fromkeys(view["method"] for view in views))
        raise Stop(USAGE, f"there is no method {name!r}", f"the methods are: {names}")
    return programs


def face(manifest: dict[str, Any], method: str) -> dict[str, Any]:
    """Returns the manifest as who calls a method sees it: its first program, without the state it keeps.

    What the bundle says of inputs and outputs is of its first method.
    """
    view = of_method(program_views(manifest), method)[0]
    return {**_described(view, manifest), "signature": interface(view)}


def _described(view: dict[str, Any], manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns a view without what is said of the first method, where it is of another."""
    is_first = view["method"] == manifest["method"]
    return view if is_first else {**view, "preprocess": None, "postprocess": None}


def interfaces(manifest: dict[str, Any], method: str) -> list[list[dict[str, Any]]]:
    """Returns the inputs of each program of a method that are no state."""
    return [interface(view)["inputs"] for view in of_method(program_views(manifest), method)]


def interface(view: dict[str, Any]) -> dict[str, Any]:
    """Returns the inputs and outputs of a program that are no state."""
    sides = {"inputs": view["reads"], "outputs": view["writes"]}
    return {
        side: [spec for spec in view["signature"][side] if spec["name"] not in states]
        for side, states in sides.items()
    }
