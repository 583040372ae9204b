"""All models of the zoo, by family."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _any_model.entry import Entry

__all__ = ["FAMILIES", "chosen"]

FAMILIES = ("own", "transformers", "torchvision", "timm", "ultralytics")


def chosen(families: Sequence[str] = FAMILIES, pattern: str = "") -> list[Entry]:
    """Returns the models of ``families`` whose name holds ``pattern``, a regular expression."""
    every = [entry for family in families for entry in _family(family)]
    return [entry for entry in every if re.search(pattern, entry.name)]


def _family(name: str) -> list[Entry]:
    found: list[Entry] = importlib.import_module(f"_any_model.{name}_models").entries()
    return found
