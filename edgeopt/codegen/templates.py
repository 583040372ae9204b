"""Templates, which are data of this package: `string.Template`, every word of which must be given."""

from __future__ import annotations

from importlib import resources
from string import Template

__all__ = ["filled"]


def filled(name: str, /, **words: object) -> str:
    """Returns a template (``c/main.c``) with its words put in; one that is missing is an error."""
    folder = resources.files("edgeopt.codegen").joinpath("templates")
    return Template(folder.joinpath(name).read_text(encoding="utf-8")).substitute(words)
