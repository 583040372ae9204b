"""Which pass is run, and with which options."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["PassSpec"]


class PassSpec(msgspec.Struct, frozen=True):
    """One entry of a list of passes.

    Attributes:
        name: One of `edgeopt.passes.REGISTRY`, or ``package.module:object`` of a plugin.
        options: Parameters of the pass by name.
    """

    name: str
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}({options})" if options else self.name
