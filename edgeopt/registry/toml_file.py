"""Reads TOML that a person wrote."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from edgeopt.errors import TargetError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeopt.errors import EdgeoptError

__all__ = ["read_toml"]


def read_toml(path: Path, error_type: type[EdgeoptError] = TargetError) -> dict[str, Any]:
    """Returns the content of the TOML file at ``path``.

    Raises:
        EdgeoptError: It cannot be read or is not TOML; of the type ``error_type``.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise error_type(what, where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what = f"is not valid TOML: {error}"
        raise error_type(what, where=path.name, hint=f"see {path}") from error
