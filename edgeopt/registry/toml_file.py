"""Reads TOML that a person wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgeopt.boundary import decode_toml, read_file
from edgeopt.errors import TargetError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.errors import EdgeoptError

__all__ = ["read_toml"]

_MAX_BYTES = 1 << 20


def read_toml(path: Path, error_type: type[EdgeoptError] = TargetError) -> dict[str, Any]:
    """Returns the content of the TOML file at ``path``.

    Raises:
        EdgeoptError: It cannot be read or is not TOML; of the type ``error_type``.
    """
    content = read_file(path, most=_MAX_BYTES, error=error_type)
    return decode_toml(content, where=path.name, error=error_type, hint=f"see {path}")
