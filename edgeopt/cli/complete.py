"""What the shell offers when a name is begun: read only when it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "COMPLETIONS",
    "backend_names",
    "device_names",
    "partial_names",
    "recipe_names",
    "target_names",
]


def target_names(incomplete: str) -> list[str]:
    """Returns the targets that begin so."""
    from edgeopt.registry import targets  # noqa: PLC0415 (only in a shell)

    return _beginning(incomplete, targets())


def backend_names(incomplete: str) -> list[str]:
    """Returns the backends that begin so."""
    from edgeopt.registry import backends  # noqa: PLC0415 (only in a shell)

    return _beginning(incomplete, ("auto", *backends()))


def device_names(incomplete: str) -> list[str]:
    """Returns the devices that begin so: kinds, and names that the user gave."""
    from edgeopt.devices.registry import known_devices  # noqa: PLC0415 (only in a shell)

    return _beginning(incomplete, ("local", "emulated", *known_devices()))


def recipe_names(incomplete: str) -> list[str]:
    """Returns the recipes that begin so."""
    from edgeopt.recipes import builtin_recipes  # noqa: PLC0415 (only in a shell)

    return _beginning(incomplete, builtin_recipes())


COMPLETIONS = {"backend": backend_names, "backends": backend_names, "device": device_names}
"""Name of a flag to what completes it, where its type does not say the names."""


def partial_names(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Returns what completes one of ``names``."""

    def complete(incomplete: str) -> list[str]:
        return _beginning(incomplete, names)

    return complete


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
